// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policies_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// s3cr3t stands for what is stored and must not be quoted.
const s3cr3t = "s3cr3t"

// unreadable are ways in which policy p cannot be read or understood.
func unreadable() map[string]func(m *mounttest.Mount) {
	put := func(value string) func(m *mounttest.Mount) {
		return func(m *mounttest.Mount) { damage(m, "policies/p", value) }
	}
	with := func(field string, value any) func(m *mounttest.Mount) {
		return func(m *mounttest.Mount) {
			record := map[string]any{}
			require.NoError(m.T, json.Unmarshal(m.Storage.All()["policies/p"], &record))
			record[field] = value
			text, err := json.Marshal(record)
			require.NoError(m.T, err)
			damage(m, "policies/p", string(text))
		}
	}
	return map[string]func(m *mounttest.Mount){
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
		"no rule of consent":     with("approvals", map[string]any{"retire": s3cr3t}),
		"no revision":            with("revision", 0),
	}
}

// damage stores a value behind the plugin's back, which it has not read before.
func damage(m *mounttest.Mount, path, value string) {
	m.T.Helper()
	m.Storage.Plant(path, []byte(value))
	m.Restart()
}

// unread is UnderPolicy, with a second revision that needs a reason for all, damaged.
func unread(t *testing.T, damage func(m *mounttest.Mount)) (m *mounttest.Mount, c map[int]string) {
	t.Helper()
	m, c = mounttest.UnderPolicy(t, "allow_pinned_encrypt", true)
	m.Must(m.Write("policies/p", "require_reason", "suspend,compromise,configure,resume", "reason_pattern", "^change"))
	damage(m)
	return m, c
}

func eachUnreadable(t *testing.T, check func(t *testing.T, m *mounttest.Mount, c map[int]string)) {
	t.Helper()
	for name, damage := range unreadable() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, c := unread(t, damage)
			check(t, m, c)
			require.NotContains(t, m.Log.String(), s3cr3t)
		})
	}
}

func TestAPolicyThatCannotBeReadLeavesItsKeysUnderStrictTerms(t *testing.T) {
	t.Parallel()
	eachUnreadable(t, func(t *testing.T, m *mounttest.Mount, c map[int]string) {
		for v := 1; v <= 3; v++ {
			require.Equal(t, "secret", m.Decrypt("k", c[v]))
		}
		m.Must(m.Write("rewrap/k", "ciphertext", c[1]))
		require.True(t, strings.HasPrefix(m.Encrypt("k", "x"), "vault:v3:"))
		m.Refused(m.Write("encrypt/k", "plaintext", "", "key_version", 2), "only the active version")
		m.Refused(m.K.Op("rotate"), `policy "p" cannot be read`)
		m.Refused(m.Write("keys/new", "policy", "p"), `policy "p" cannot be read`)
		m.Advance(2 * time.Minute)
		require.Equal(t, 3, m.Latest("k"), "nothing rotates on a guess")
	})
}

func TestWhatStopsAKeyIsNotStoppedByItsPolicy(t *testing.T) {
	t.Parallel()
	eachUnreadable(t, func(t *testing.T, m *mounttest.Mount, _ map[int]string) {
		for _, stop := range []string{"versions/1/suspend", "versions/2/compromise", "versions/3/compromise", "suspend"} {
			a := m.Must(m.Write("keys/k/" + stop))
			require.Contains(t, strings.Join(a.Warnings, " "), `policy "p" cannot be read`)
			require.Contains(t, m.Storage.JournalLine(2), `"policy_fault":"policy \"p\" cannot be read`, stop)
			require.NotContains(t, m.Storage.JournalLine(2), s3cr3t)
		}
		m.Must(m.Write("keys/k/config", "policy", ""))
		m.Must(m.Write("keys/k/resume"))
		require.Empty(t, m.Must(m.Read("keys/k")).Warnings)
	})
}

func TestOperatorsSeeWhyAPolicySaysNothing(t *testing.T) {
	t.Parallel()
	const why = `policy "p" cannot be read: policies/p: `
	eachUnreadable(t, func(t *testing.T, m *mounttest.Mount, _ map[int]string) {
		m.Must(m.Write("policies/q", "owner", "o", "rotation_period", "1h", "rotation_jitter", 0))
		m.Must(m.Write("keys/other", "policy", "q"))
		texts := []string{
			m.Rotation("k")["why"].(string), m.Must(m.Read("keys/k")).Warnings[0],
			m.Must(m.Read("policies/p/drift")).Data["keys"].([]map[string]any)[0]["findings"].([]map[string]any)[0]["rule"].(string),
		}
		read := m.Read("policies/p")
		require.Equal(t, 500, read.Status)
		status := m.Status()
		require.Equal(t, 1, status["ungoverned"])
		listed := status["ungoverned_keys"].([]any)[0].(map[string]any)
		require.Equal(t, "k", listed["name"])
		require.Equal(t, "p", listed["policy"])
		for _, text := range append(texts, read.Err, listed["why"].(string)) {
			require.Contains(t, text, why)
			require.NotContains(t, text, s3cr3t)
		}
		m.Advance(61 * time.Minute)
		require.Equal(t, 2, m.Latest("other"), "other keys go on")
		require.Contains(t, m.Log.String(), "[ERROR] policy says nothing; its keys have strict terms: policy=p keys=1 error=")
		require.Equal(t, []string{"p", "q"}, m.Must(m.List("policies")).Data["keys"])
		require.Equal(t, []string{"1", "2"}, m.Must(m.List("policies/p/revisions")).Data["keys"])
		require.Equal(t, "o", m.Must(m.Read("policies/p/revisions/1")).Data["owner"])
	})
}

func TestAPolicyThatCannotBeReadIsWrittenAnew(t *testing.T) {
	t.Parallel()
	eachUnreadable(t, func(t *testing.T, m *mounttest.Mount, _ map[int]string) {
		content := []any{"owner", "o2", "rotation_period", "1h", "rotation_jitter", 0, "rollback_window", 0}
		m.Refused(m.Write("policies/p", "rotation_period", "1h"), "owner")
		require.Equal(t, 409, m.Write("policies/p", append(content, "cas", 0)...).Status, "it is there")
		planned := m.Must(m.Write("policies/p/plan", content...)).Data
		require.Equal(t, 3, planned["revision"])
		require.Len(t, planned["keys"], 1)
		written := m.Must(m.Write("policies/p", append(content, "cas", 2)...)).Data
		require.Equal(t, 3, written["revision"], "no number is used again")
		require.Equal(t, planned["hash"], written["hash"])
		require.Equal(t, "1095d", written["recipient_period"], "of the policy before nothing is known")
		require.Empty(t, m.Must(m.Read("keys/k")).Warnings)
		m.Advance(61 * time.Minute)
		require.Equal(t, 4, m.Latest("k"))
		require.Zero(t, m.Status()["ungoverned"])
	})
}

func TestAPolicyThatCannotBeReadIsDeletedWhereItGovernsNoKey(t *testing.T) {
	t.Parallel()
	eachUnreadable(t, func(t *testing.T, m *mounttest.Mount, _ map[int]string) {
		m.Refused(m.Delete("policies/p"), `bound to key "k"`)
		m.Must(m.Write("keys/k/config", "policy", ""))
		require.Equal(t, 409, m.Do("delete", "policies/p", mounttest.Data("cas", 1)).Status)
		require.Equal(t, 204, m.Delete("policies/p").Status)
		require.Equal(t, 404, m.Read("policies/p").Status)
		require.Equal(t, 1, m.Must(m.Write("policies/p", "owner", "o")).Data["revision"])
	})
}

func TestAQuietPeriodUnderStrictTermsIsNotCutShortByWhatIsWrittenAnew(t *testing.T) {
	m, c := unread(t, func(m *mounttest.Mount) {
		m.K.Ops("versions/1/archive")
		damage(m, "policies/p", "{")
	})
	m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "archived")
	m.Clock.Add(time.Minute)
	m.Must(m.Write("policies/p", "owner", "o", "quiet_period", 0, "rotation_period", 0))
	m.Refused(m.K.Op("versions/1/retire"), "quiet")
}

func TestAKeyOfAMissingPolicyIsInTheStatus(t *testing.T) {
	m, _ := mounttest.UnderPolicy(t)
	require.NoError(t, m.Storage.Delete(t.Context(), "policies/p"))
	m.Restart()
	status := m.Status()
	require.Equal(t, 1, status["ungoverned"])
	require.Equal(t, []any{map[string]any{"name": "k", "policy": "p", "why": `policy not found: no policy is named "p"`}}, status["ungoverned_keys"])
	require.Contains(t, m.Rotation("k")["why"], "no policy is named")
	m.Must(m.Write("keys/k/suspend"))
	require.Contains(t, m.Storage.JournalLine(2), `"policy_fault":"policy not found`)
}

func TestAKeyIsStoppedAlsoWhereStorageDoesNotGiveItsPolicy(t *testing.T) {
	for _, stop := range []string{"versions/1/suspend", "versions/2/compromise", "versions/3/compromise", "suspend"} {
		m, _ := mounttest.UnderPolicy(t, "rotation_period", "30d")
		m.Restart()
		m.Storage.FailGets("policies/")
		require.Equal(t, 500, m.K.Op("versions/1/archive").Status, "only what stops a key goes on without")
		a := m.Must(m.K.Op(stop))
		require.Contains(t, strings.Join(a.Warnings, " "), "get policies/p")
		require.Contains(t, m.Storage.JournalLine(2), `"policy_fault":"get policies/p`)
		m.Storage.Heal()
		require.NoError(t, m.Tick())
		if stop != "suspend" {
			require.Equal(t, "scheduled", m.Rotation("k")["status"])
			require.NotEmpty(t, slices.Collect(maps.Keys(m.Storage.All())))
			require.False(t, m.Storage.Key("k").Due.IsZero(), "the next tick finds the policy again")
		}
	}
}

func TestADefaultPolicyThatCannotBeReadDoesNotHoldTheSettingsOfTheMount(t *testing.T) {
	m, _ := mounttest.UnderPolicy(t)
	m.Must(m.Write("config/engine", "default_policy", "p"))
	damage(m, "policies/p", "{")
	m.Must(m.Write("config/engine", "require_policy", true))
	m.Refused(m.Write("keys/new"), `policy "p" cannot be read`)
	m.Must(m.Write("config/engine", "default_policy", ""))
	m.Refused(m.Write("config/engine", "default_policy", "p"), `policy "p" cannot be read`)
}
