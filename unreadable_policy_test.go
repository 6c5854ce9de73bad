// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// s3cr3t stands for what is stored and must not be quoted.
const s3cr3t = "s3cr3t"

// unreadable are ways in which policy p cannot be read or understood.
func unreadable() map[string]func(m *mount) {
	put := func(value string) func(m *mount) {
		return func(m *mount) { m.damage("policies/p", value) }
	}
	with := func(field string, value any) func(m *mount) {
		return func(m *mount) {
			record := map[string]any{}
			require.NoError(m.t, json.Unmarshal(m.dump()["policies/p"], &record))
			record[field] = value
			text, err := json.Marshal(record)
			require.NoError(m.t, err)
			m.damage("policies/p", string(text))
		}
	}
	return map[string]func(m *mount){
		"garbage":                put("\x00" + s3cr3t),
		"another kind of record": put(`{"schema":1,"created":{"secret":"` + s3cr3t + `"}}`),
		"an empty record":        put(`{"schema":1}`),
		"a newer schema":         put(`{"schema":2,"secret":"` + s3cr3t + `"}`),
		"a machine's zone":       with("rotation_zone", "posix/"+s3cr3t),
		"no cron":                with("rotation_schedule", s3cr3t),
		"no window":              with("rotation_window", "0 0 30 2 *"),
		"no length of time":      with("destroy_delay", s3cr3t),
		"no delay":               with("destroy_delay", "0"),
		"an unknown mode":        with("rotation_mode", s3cr3t),
		"an unknown rule":        with("compromised_processing", s3cr3t),
		"a broken pattern":       with("reason_pattern", "("+s3cr3t),
		"no revision":            with("revision", 0),
	}
}

// damage stores a value behind the plugin's back, which it has not read before.
func (m *mount) damage(path, value string) {
	m.t.Helper()
	m.plant(path, []byte(value))
	m.restart()
}

// unread is underPolicy, with a second revision that needs a reason for all, damaged.
func unread(t *testing.T, damage func(m *mount)) (m *mount, c map[int]string) {
	t.Helper()
	m, c = underPolicy(t, "allow_pinned_encrypt", true)
	m.must(m.write("policies/p", "require_reason", "suspend,compromise,configure,resume", "reason_pattern", "^change"))
	damage(m)
	return m, c
}

func eachUnreadable(t *testing.T, check func(t *testing.T, m *mount, c map[int]string)) {
	t.Helper()
	for name, damage := range unreadable() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, c := unread(t, damage)
			check(t, m, c)
			require.NotContains(t, m.log.String(), s3cr3t)
		})
	}
}

func TestAPolicyThatCannotBeReadLeavesItsKeysUnderStrictTerms(t *testing.T) {
	t.Parallel()
	eachUnreadable(t, func(t *testing.T, m *mount, c map[int]string) {
		for v := 1; v <= 3; v++ {
			require.Equal(t, "secret", m.decrypt("k", c[v]))
		}
		m.must(m.write("rewrap/k", "ciphertext", c[1]))
		require.True(t, strings.HasPrefix(m.encrypt("k", "x"), "vault:v3:"))
		m.refused(m.write("encrypt/k", "plaintext", "", "key_version", 2), "only the active version")
		m.refused(m.op("rotate"), `policy "p" cannot be read`)
		m.refused(m.write("keys/new", "policy", "p"), `policy "p" cannot be read`)
		m.advance(2 * time.Minute)
		require.Equal(t, 3, m.latest("k"), "nothing rotates on a guess")
	})
}

func TestWhatStopsAKeyIsNotStoppedByItsPolicy(t *testing.T) {
	t.Parallel()
	eachUnreadable(t, func(t *testing.T, m *mount, _ map[int]string) {
		for _, stop := range []string{"versions/1/suspend", "versions/2/compromise", "versions/3/compromise", "suspend"} {
			a := m.must(m.write("keys/k/" + stop))
			require.Contains(t, strings.Join(a.warnings, " "), `policy "p" cannot be read`)
			require.Contains(t, m.newestRecord(2), `"policy_fault":"policy \"p\" cannot be read`, stop)
			require.NotContains(t, m.newestRecord(2), s3cr3t)
		}
		m.must(m.write("keys/k/config", "policy", ""))
		m.must(m.write("keys/k/resume"))
		require.Empty(t, m.must(m.read("keys/k")).warnings)
	})
}

func TestOperatorsSeeWhyAPolicySaysNothing(t *testing.T) {
	t.Parallel()
	const why = `policy "p" cannot be read: policies/p: `
	eachUnreadable(t, func(t *testing.T, m *mount, _ map[int]string) {
		m.must(m.write("policies/q", "owner", "o", "rotation_period", "1h", "rotation_jitter", 0))
		m.must(m.write("keys/other", "policy", "q"))
		texts := []string{
			m.rotation("k")["why"].(string), m.must(m.read("keys/k")).warnings[0],
			m.must(m.read("policies/p/drift")).data["keys"].([]map[string]any)[0]["findings"].([]map[string]any)[0]["rule"].(string),
		}
		read := m.read("policies/p")
		require.Equal(t, 500, read.status)
		status := m.status()
		require.Equal(t, 1, status["ungoverned"])
		listed := status["ungoverned_keys"].([]any)[0].(map[string]any)
		require.Equal(t, "k", listed["name"])
		require.Equal(t, "p", listed["policy"])
		for _, text := range append(texts, read.err, listed["why"].(string)) {
			require.Contains(t, text, why)
			require.NotContains(t, text, s3cr3t)
		}
		m.advance(61 * time.Minute)
		require.Equal(t, 2, m.latest("other"), "other keys go on")
		require.Contains(t, m.log.String(), "[ERROR] policy says nothing; its keys have strict terms: policy=p keys=1 error=")
		require.Equal(t, []string{"p", "q"}, m.must(m.list("policies")).data["keys"])
		require.Equal(t, []string{"1", "2"}, m.must(m.list("policies/p/revisions")).data["keys"])
		require.Equal(t, "o", m.must(m.read("policies/p/revisions/1")).data["owner"])
	})
}

func TestAPolicyThatCannotBeReadIsWrittenAnew(t *testing.T) {
	t.Parallel()
	eachUnreadable(t, func(t *testing.T, m *mount, _ map[int]string) {
		content := []any{"owner", "o2", "rotation_period", "1h", "rotation_jitter", 0, "rollback_window", 0}
		m.refused(m.write("policies/p", "rotation_period", "1h"), "owner")
		require.Equal(t, 409, m.write("policies/p", append(content, "cas", 0)...).status, "it is there")
		planned := m.must(m.write("policies/p/plan", content...)).data
		require.Equal(t, 3, planned["revision"])
		require.Len(t, planned["keys"], 1)
		written := m.must(m.write("policies/p", append(content, "cas", 2)...)).data
		require.Equal(t, 3, written["revision"], "no number is used again")
		require.Equal(t, planned["hash"], written["hash"])
		require.Equal(t, "1095d", written["recipient_period"], "of the policy before nothing is known")
		require.Empty(t, m.must(m.read("keys/k")).warnings)
		m.advance(61 * time.Minute)
		require.Equal(t, 4, m.latest("k"))
		require.Zero(t, m.status()["ungoverned"])
	})
}

func TestAPolicyThatCannotBeReadIsDeletedWhereItGovernsNoKey(t *testing.T) {
	t.Parallel()
	eachUnreadable(t, func(t *testing.T, m *mount, _ map[int]string) {
		m.refused(m.delete("policies/p"), `bound to key "k"`)
		m.must(m.write("keys/k/config", "policy", ""))
		require.Equal(t, 409, m.do("delete", "policies/p", dataOf("cas", 1)).status)
		require.Equal(t, 204, m.delete("policies/p").status)
		require.Equal(t, 404, m.read("policies/p").status)
		require.Equal(t, 1, m.must(m.write("policies/p", "owner", "o")).data["revision"])
	})
}

func TestAQuietPeriodUnderStrictTermsIsNotCutShortByWhatIsWrittenAnew(t *testing.T) {
	m, c := unread(t, func(m *mount) { m.damage("policies/p", "{") })
	m.ops("versions/1/archive")
	m.refused(m.write("decrypt/k", "ciphertext", c[1]), "archived")
	m.clock.add(time.Minute)
	m.must(m.write("policies/p", "owner", "o", "quiet_period", 0, "rotation_period", 0))
	m.refused(m.op("versions/1/retire"), "quiet")
}

func TestAKeyOfAMissingPolicyIsInTheStatus(t *testing.T) {
	m, _ := underPolicy(t)
	require.NoError(t, m.storage.Delete(t.Context(), "policies/p"))
	m.restart()
	status := m.status()
	require.Equal(t, 1, status["ungoverned"])
	require.Equal(t, []any{map[string]any{"name": "k", "policy": "p", "why": `policy not found: no policy is named "p"`}}, status["ungoverned_keys"])
	require.Contains(t, m.rotation("k")["why"], "no policy is named")
	m.must(m.write("keys/k/suspend"))
	require.Contains(t, m.newestRecord(2), `"policy_fault":"policy not found`)
}

func TestAKeyIsStoppedAlsoWhereStorageDoesNotGiveItsPolicy(t *testing.T) {
	for _, stop := range []string{"versions/1/suspend", "versions/2/compromise", "versions/3/compromise", "suspend"} {
		m, _ := underPolicy(t, "rotation_period", "30d")
		m.restart()
		m.storage.FailGets("policies/")
		require.Equal(t, 500, m.op("versions/1/archive").status, "only what stops a key goes on without")
		a := m.must(m.op(stop))
		require.Contains(t, strings.Join(a.warnings, " "), "get policies/p")
		require.Contains(t, m.newestRecord(2), `"policy_fault":"get policies/p`)
		m.storage.Heal()
		require.NoError(t, m.tickNow())
		if stop != "suspend" {
			require.Equal(t, "scheduled", m.rotation("k")["status"])
			require.NotEmpty(t, slices.Collect(maps.Keys(m.dump())))
			require.False(t, m.repoKey("k").Due.IsZero(), "the next tick finds the policy again")
		}
	}
}

func TestADefaultPolicyThatCannotBeReadDoesNotHoldTheSettingsOfTheMount(t *testing.T) {
	m, _ := underPolicy(t)
	m.must(m.write("config/engine", "default_policy", "p"))
	m.damage("policies/p", "{")
	m.must(m.write("config/engine", "require_policy", true))
	m.refused(m.write("keys/new"), `policy "p" cannot be read`)
	m.must(m.write("config/engine", "default_policy", ""))
	m.refused(m.write("config/engine", "default_policy", "p"), `policy "p" cannot be read`)
}
