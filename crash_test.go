// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// act is a request whose every storage write is made to fail once.
type act struct {
	name       string
	prepare    func(m *mount)
	run        func(m *mount) answer
	again      func(m *mount) answer // a later try; nil: run
	after      func(t *testing.T, m *mount)
	unrecorded bool // nobody asks for it, or it is about no key
}

var acts = []act{
	{
		name: "create the first key of a mount",
		run:  func(m *mount) answer { return m.write("keys/k") },
	},
	{
		name:    "create a key under a policy",
		prepare: func(m *mount) { m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h")) },
		run:     func(m *mount) answer { return m.write("keys/k", "policy", "p") },
	},
	{
		name: "create by encrypting",
		run:  func(m *mount) answer { return m.write("encrypt/k", "plaintext", b64("x")) },
	},
	{
		name:    "rotate",
		prepare: prepareKey,
		run:     func(m *mount) answer { return m.write("keys/k/rotate", "reason", "because of a test") },
	},
	{
		name: "rotate under a policy",
		prepare: func(m *mount) {
			m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h"))
			m.must(m.write("keys/k", "policy", "p"))
			m.must(m.write("keys/k/rotate", "reason", "because of a test"))
		},
		run: func(m *mount) answer { return m.write("keys/k/rotate", "reason", "because of a test") },
	},
	{
		name:    "rotate across a page of creation times",
		prepare: func(m *mount) { prepareVersions(m, 255) },
		run:     func(m *mount) answer { return m.write("keys/k/rotate", "reason", "because of a test") },
	},
	{
		name:    "configure",
		prepare: prepareKey,
		run:     func(m *mount) answer { return m.write("keys/k/config", "min_encryption_version", 2, "owner", "me") },
	},
	{
		name: "bind to another policy",
		prepare: func(m *mount) {
			m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h"))
			m.must(m.write("policies/q", "owner", "o", "rotation_period", "2h"))
			m.must(m.write("keys/k", "policy", "p"))
		},
		run: func(m *mount) answer { return m.write("keys/k/config", "policy", "q") },
	},
	{
		name: "delete",
		prepare: func(m *mount) {
			prepareKey(m)
			m.must(m.write("keys/k/config", "deletion_allowed", true, "auto_rotate_period", "24h"))
		},
		run:   func(m *mount) answer { return m.delete("keys/k") },
		again: deleteAgain,
		after: requireNothingLeft,
	},
	{
		name: "write a new revision of a policy", unrecorded: true,
		prepare: func(m *mount) {
			m.must(m.write("policies/p", "owner", "o", "rotation_period", "24h"))
			m.must(m.write("keys/k", "policy", "p"))
		},
		run: func(m *mount) answer { return m.write("policies/p", "rotation_period", "1h") },
		after: func(t *testing.T, m *mount) {
			m.advance(2 * time.Minute)
			next := m.must(m.read("keys/k")).data["next_rotation_time"].(string)
			at, err := time.Parse(time.RFC3339, next)
			require.NoError(t, err)
			require.Less(t, at.Sub(start), 2*time.Hour, "the bound key follows the new revision")
		},
	},
	{
		name: "delete a policy", unrecorded: true,
		prepare: func(m *mount) { m.must(m.write("policies/p", "owner", "o")) },
		run:     func(m *mount) answer { return m.delete("policies/p") },
	},
	{
		name: "automatic rotation", unrecorded: true,
		prepare: func(m *mount) {
			m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
			m.must(m.write("keys/k", "policy", "p"))
			m.clock.add(time.Hour)
		},
		run: func(m *mount) answer {
			_ = m.tickNow() // what it could not do, it does at the next minute
			return answer{status: 204}
		},
		after: func(t *testing.T, m *mount) {
			m.advance(5 * time.Minute)
			require.Equal(t, "OA", m.kept(), "the rotation happened, and happened once")
		},
	},
}

func prepareKey(m *mount) {
	m.must(m.write("keys/k"))
	m.must(m.write("keys/k/rotate", "reason", "because of a test"))
}

func prepareVersions(m *mount, n int) {
	m.must(m.write("keys/k"))
	for range n - 1 {
		m.must(m.write("keys/k/rotate", "reason", "because of a test"))
	}
}

// deleteAgain deletes what may be deleted already.
func deleteAgain(m *mount) answer {
	a := m.delete("keys/k")
	if strings.Contains(a.err, "not found") {
		return answer{status: 204}
	}
	return a
}

func requireNothingLeft(t *testing.T, m *mount) {
	all, err := m.storage.Dump(context.Background())
	require.NoError(t, err)
	for path := range all {
		require.Regexp(t, "^config/|^journal/", path, "a deleted key leaves nothing in storage but its history")
	}
}

func TestEveryActSurvivesTheFailureOfEachOfItsWrites(t *testing.T) {
	for i, a := range acts {
		for f, fate := range storagetest.Fates() {
			if racetest.Spared(t, i+f) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", a.name, fate), func(t *testing.T) {
				t.Parallel()
				crashLoop(t, a, fate)
			})
		}
	}
}

func crashLoop(t *testing.T, a act, fate storagetest.Fate) {
	for at := 1; ; at++ {
		m := newMount(t)
		if a.prepare != nil {
			a.prepare(m)
		}
		kept := ciphertexts(m)
		m.storage.FailWriteAs(at, fate)
		got := a.run(m)
		fired := m.storage.Fired()
		m.storage.Heal()
		if !fired {
			require.Less(t, got.status, 300, "without a failure the act succeeds: %s", got.err)
			require.Greater(t, at, 1, "the act writes something")
			return
		}
		kept = append(kept, ciphertexts(m)...) // also with what is cached after the failure
		readBeforeItLands(m, fate)
		if at%2 == 0 {
			m.restart()
		}
		require.NoError(t, m.tickNow())
		checkInvariants(t, m, kept)
		again := a.again
		if again == nil {
			again = a.run
		}
		m.must(again(m))
		m.advance(2 * time.Minute)
		checkInvariants(t, m, kept)
		if a.after != nil {
			a.after(t, m)
		}
	}
}

// readBeforeItLands reads the history, which settles how the act of a failed write went, before a late one is there.
func readBeforeItLands(m *mount, fate storagetest.Fate) {
	if fate == storagetest.Late {
		_ = m.read("keys/k/history")
	}
}

// anyFate draws what becomes of a write that fails.
func anyFate(chance *rand.Rand) storagetest.Fate {
	fates := storagetest.Fates()
	return fates[chance.IntN(len(fates))]
}

// kept is a ciphertext that a client holds.
type kept struct{ id, ciphertext string }

// ciphertexts encrypts with the key, if it is there.
func ciphertexts(m *mount) []kept {
	m.t.Helper()
	if m.read("keys/k").status != 200 {
		return nil
	}
	return []kept{{idOf(m), m.encrypt("k", "secret")}}
}

// idOf tells two keys of one name apart.
func idOf(m *mount) string {
	all, err := m.storage.Dump(context.Background())
	require.NoError(m.t, err)
	var record struct {
		ID string `json:"id"`
	}
	if data, ok := all["keys/k"]; ok {
		require.NoError(m.t, json.Unmarshal(data, &record))
	}
	return record.ID
}

// checkInvariants holds whatever failed: the key is whole or gone, one version is active, what was ever encrypted
// with it can be read, and the indexes say what the records say.
func checkInvariants(t *testing.T, m *mount, held []kept) {
	t.Helper()
	all, err := m.storage.Dump(context.Background())
	require.NoError(t, err)
	for path := range all {
		require.NotRegexp(t, "^intents/", path, "every act that began has ended")
	}
	requireTrueCustody(t, m)
	view := m.read("keys/k")
	require.Contains(t, []int{200, 404}, view.status, view.err)
	if view.status == 404 {
		for path := range all {
			require.NotRegexp(t, "^keys/", path, "a key that is gone has no record")
		}
		return
	}
	latest := view.data["latest_version"].(int)
	require.Equal(t, fmt.Sprintf("vault:v%d:", latest), m.encrypt("k", "x")[:len(fmt.Sprintf("vault:v%d:", latest))], "the latest version is the active one")
	id := idOf(m)
	for _, h := range held {
		if h.id == id {
			require.Equal(t, "secret", m.decrypt("k", h.ciphertext))
		}
	}
	checkSchedule(t, all)
}

// requireTrueCustody holds custody to the key record: the act that wrote it has not failed, nor has one that deleted it.
func requireTrueCustody(t *testing.T, m *mount) {
	t.Helper()
	var record struct {
		Count int `json:"journal_count"`
	}
	journal := m.journal()
	if data, ok := m.dump()["keys/k"]; ok {
		require.NoError(t, json.Unmarshal(data, &record))
		require.NotEqual(t, custody.Failed, outcomeOf(journal, record.Count), "act %d is in force", record.Count)
		return
	}
	for _, begin := range slices.Backward(journal) {
		if begin.Kind == custody.Begin && begin.Act != "create" { // creations may have failed since
			require.NotEqual(t, custody.Failed, outcomeOf(journal, begin.Seq), "act %d (%s) is in force", begin.Seq, begin.Act)
			return
		}
	}
}

// checkSchedule compares the due index with the key records: every due key is listed where its record says.
func checkSchedule(t *testing.T, all map[string][]byte) {
	t.Helper()
	for path, data := range all {
		name, ok := strings.CutPrefix(path, "keys/")
		if !ok {
			continue
		}
		var record struct {
			Due    time.Time `json:"due"`
			Policy string    `json:"policy"`
		}
		require.NoError(t, json.Unmarshal(data, &record))
		if !record.Due.IsZero() {
			require.Contains(t, all, "schedule/"+record.Due.Format("20060102T1504")+"/"+name)
		}
		if record.Policy != "" {
			require.Contains(t, all, "bound/"+record.Policy+"/"+name)
		}
	}
}

func TestTheDueIndexForgetsAKeyWhoseCreationDidNotCommit(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.must(m.write("keys/other")) // the keyring is there, so that the writes of the next line are those of the key
	m.storage.FailWrite(5, false) // custody, version, due index, bound index, then the record
	require.Equal(t, 500, m.write("keys/k", "policy", "p").status)
	m.storage.Heal()
	require.Equal(t, 404, m.read("keys/k").status)

	m.advance(61 * time.Minute)
	all, err := m.storage.Dump(context.Background())
	require.NoError(t, err)
	for path := range all {
		require.NotRegexp(t, "^schedule/", path)
	}
}
