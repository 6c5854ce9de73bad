// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package scale_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// rotated is a key that is rotated, and how long that took in each round, in milliseconds.
type rotated struct {
	path    string // of its mount
	version int    // before it is rotated
	listed  bool   // the answer lists all versions
	rounds  []float64
}

// family is the keys of one engine, in which each version stands once with the floor raised and, where it can be had, once without.
type family map[string]*rotated

func name(version int, listed bool) string {
	if listed {
		return strconv.Itoa(version) + "-listed"
	}
	return strconv.Itoa(version)
}

func TestRotation(t *testing.T) {
	n := sizeOf(t)
	s := vault(t)
	own, memory, backup := makeOwn(t, s, n)
	s.Mount(t, "transit", "transit")
	transit := makeTransit(t, s, n, backup)
	s.ReloadPlugin(t)
	for round := -1; round < n.rounds; round++ { // the first does not count
		for _, engine := range []family{own, transit} {
			for _, k := range engine {
				took := timed(func() { rotate(t, s, k, n.rotations) }) / float64(n.rotations)
				if round >= 0 {
					k.rounds = append(k.rounds, took)
				}
			}
		}
	}
	write(t, "rotation.json", sectionOfRotation(n, own, transit, memory))
}

// rotate rotates a key so often, and looks at what comes of it.
func rotate(t testing.TB, s *harness.Server, k *rotated, times int) {
	t.Helper()
	for range times {
		data := s.Must(t, http.MethodPost, k.path+"/keys/k/rotate", map[string]any{"reason": mounttest.Reason}) // which Transit ignores
		latest, err := data["latest_version"].(json.Number).Int64()
		require.NoError(t, err)
		require.Greater(t, latest, int64(k.version))
		require.Equal(t, k.listed, int64(len(data["keys"].(map[string]any))) == latest, "whether the answer lists all versions")
	}
}

// makeOwn makes keys under a policy with all checks, each in a mount of its own. Memory is how long a rotation of those with the floor
// raised takes on a storage in memory, and backup the key with the second of the numbers of versions.
func makeOwn(t *testing.T, s *harness.Server, n size) (own, memory family, backup string) {
	m := mounttest.New(t)
	m.Must(m.Write("config/engine", "scrub", 0)) // old versions are not planted
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "90d", "exportable", true, "allow_plaintext_backup", true))
	m.Must(m.Write("keys/k", "policy", "p", "exportable", true, "allow_plaintext_backup", true))
	own, memory = family{}, family{}
	keep := func(version int, listed bool) {
		k := &rotated{path: "keylife-" + name(version, listed), version: version, listed: listed}
		own[name(version, listed)] = k
		plant(t, s, k.path, harness.PluginName, recent(m))
	}
	for i, version := range n.versions {
		m.K.RotateTo(version)
		if i == 1 {
			backup = m.Must(m.Read("backup/k")).Data["backup"].(string)
		}
		if i > 0 {
			keep(version, true)
		}
		m.Must(m.Write("keys/k/config", "min_decryption_version", version, "reason", mounttest.Reason))
		keep(version, false)
		k := &rotated{version: version}
		memory[name(version, false)] = k
		for range n.rounds * n.rotations {
			k.rounds = append(k.rounds, timed(func() { m.K.Ops("rotate") })*1000)
		}
	}
	return own, memory, backup
}

// recent is what is stored of the newest versions and their custody, and of all else.
func recent(m *mounttest.Mount) map[string][]byte {
	m.T.Helper()
	all := m.Storage.All()
	newest := map[string]int{"versions/k/": m.Latest("k"), "journal/k/": len(m.Storage.Journal())}
	maps.DeleteFunc(all, func(path string, _ []byte) bool {
		for prefix, last := range newest {
			if number, ok := strings.CutPrefix(path, prefix); ok {
				at, err := strconv.Atoi(number)
				require.NoError(m.T, err)
				return at < last-256
			}
		}
		return false
	})
	return all
}

// makeTransit makes the same keys in built-in Transit. Those with a raised floor were trimmed, too: else all versions are
// in one entry, which each rotation writes. Of those that list all versions there is the one that the backup has: what has many
// more does not fit into an entry of the storage.
func makeTransit(t *testing.T, s *harness.Server, n size, backup string) family {
	transit := family{}
	restore := func(version int, listed bool, backup string) {
		k := &rotated{path: "transit-" + name(version, listed), version: version, listed: listed}
		transit[name(version, listed)] = k
		s.Mount(t, k.path, "transit")
		s.Must(t, http.MethodPost, k.path+"/restore/k", map[string]any{"backup": backup})
	}
	restore(n.versions[1], true, backup)
	s.Must(t, http.MethodPost, "transit/keys/k", map[string]any{"exportable": true, "allow_plaintext_backup": true})
	first := n.versions[0]
	for range first - 1 {
		s.Must(t, http.MethodPost, "transit/keys/k/rotate", nil)
	}
	s.Must(t, http.MethodPost, "transit/keys/k/config", map[string]any{"min_decryption_version": first, "min_encryption_version": first})
	s.Must(t, http.MethodPost, "transit/keys/k/trim", map[string]any{"min_available_version": first})
	trimmed := s.Must(t, http.MethodGet, "transit/backup/k", nil)["backup"].(string)
	for _, version := range n.versions {
		restore(version, false, shifted(t, trimmed, first, version))
	}
	return transit
}

// shifted is the backup of a key that has one version left, with another number for the version.
func shifted(t testing.TB, backup string, from, to int) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(backup)
	require.NoError(t, err)
	var whole struct {
		Policy   map[string]json.RawMessage `json:"policy"`
		Archived json.RawMessage            `json:"archived_keys"`
	}
	require.NoError(t, json.Unmarshal(text, &whole))
	moved := 0
	for field, value := range whole.Policy {
		if string(value) == strconv.Itoa(from) {
			whole.Policy[field] = json.RawMessage(strconv.Itoa(to))
			moved++
		}
	}
	require.Equal(t, 6, moved, "latest, both of the archive, and the three floors: %s", text)
	keys := map[string]json.RawMessage{}
	require.NoError(t, json.Unmarshal(whole.Policy["keys"], &keys))
	require.Len(t, keys, 1)
	whole.Policy["keys"], err = json.Marshal(map[string]json.RawMessage{strconv.Itoa(to): keys[strconv.Itoa(from)]})
	require.NoError(t, err)
	text, err = json.Marshal(whole)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(text)
}

func sectionOfRotation(n size, own, transit, memory family) result.Section {
	first := name(n.versions[0], false)
	atFirst := "itself at version " + first
	section := result.Section{
		Title: "Rotation of a key with many versions",
		Intro: "`keys/k/rotate`, one after the other, in the same server as built-in Transit. With the floor raised, the key's `min_decryption_version` is the version that is named: " +
			"the answer lists what came since. Of Transit it was trimmed to that version, too. With all versions in the answer nothing was raised. The keys of keylife are under a " +
			"policy with all checks; Transit has none. In memory: the engine alone, on a storage in memory.",
	}
	for i, version := range n.versions {
		raised := own[name(version, false)]
		row := result.Row{What: fmt.Sprintf("version %s, floor raised", result.Digits(float64(version))), Value: result.Median(raised.rounds), Unit: "ms"}
		if i > 0 {
			row.Beside = append(row.Beside, beside(atFirst, raised, own[first], i == len(n.versions)-1))
		}
		row.Beside = append(row.Beside, result.Compare("Transit", raised.rounds, transit[name(version, false)].rounds))
		section.Rows = append(section.Rows, row)
	}
	for _, version := range n.versions[1:] {
		listed := own[name(version, true)]
		row := result.Row{What: fmt.Sprintf("version %s, all versions in the answer", result.Digits(float64(version))), Value: result.Median(listed.rounds), Unit: "ms"}
		row.Beside = append(row.Beside, beside(atFirst, listed, own[first], false))
		if peer := transit[name(version, true)]; peer != nil {
			row.Beside = append(row.Beside, result.Compare("Transit", listed.rounds, peer.rounds))
		}
		section.Rows = append(section.Rows, row)
	}
	for i, version := range n.versions {
		k := memory[name(version, false)]
		row := result.Row{What: fmt.Sprintf("version %s, floor raised, in memory", result.Digits(float64(version))), Value: result.Median(k.rounds), Unit: "µs"}
		if i > 0 {
			row.Beside = append(row.Beside, result.Beside{Name: atFirst, Value: result.Median(memory[first].rounds), Ratio: row.Value / result.Median(memory[first].rounds)})
		}
		section.Rows = append(section.Rows, row)
	}
	return section
}

func beside(name string, k, other *rotated, wanted bool) result.Beside {
	b := result.Compare(name, k.rounds, other.rounds)
	if wanted {
		b = b.AtMost(1.2)
	}
	return b
}
