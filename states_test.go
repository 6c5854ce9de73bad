// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// why is a reason that every policy takes.
const why = "change 4711"

// op does an operation on key k, or on a version of it: op("versions/2/archive").
func (m *mount) op(path string, kv ...any) answer {
	m.t.Helper()
	return m.write("keys/k/"+path, append([]any{"reason", why}, kv...)...)
}

// ops does operations one after another; "31d" lets so many days go by.
func (m *mount) ops(paths ...string) {
	m.t.Helper()
	for _, path := range paths {
		if path == "31d" {
			m.leap(31 * 24 * time.Hour)
			continue
		}
		m.must(m.op(path))
	}
}

func (m *mount) state(v int) string {
	m.t.Helper()
	return m.must(m.read(fmt.Sprintf("keys/k/versions/%d", v))).data["state"].(string)
}

// states returns the states of all versions of key k, oldest first.
func (m *mount) states() []string { return m.statesOf("k") }

func (m *mount) statesOf(key string) []string {
	m.t.Helper()
	listed := m.must(m.list("keys/" + key + "/versions")).data
	states := []string{}
	for _, number := range listed["keys"].([]string) {
		states = append(states, listed["key_info"].(map[string]any)[number].(map[string]any)["state"].(string))
	}
	return states
}

// refused demands a 400 that says all of that.
func (m *mount) refused(a answer, parts ...string) {
	m.t.Helper()
	require.Equal(m.t, http.StatusBadRequest, a.status, a.err)
	for _, part := range parts {
		require.Contains(m.t, a.err, part)
	}
}

// keyOf3 has a key with versions 1 and 2 deactivated and 3 active, and a ciphertext of each.
func keyOf3(t *testing.T, kv ...any) (m *mount, ciphertexts map[int]string) {
	t.Helper()
	m = newMount(t)
	m.must(m.write("keys/k", kv...))
	ciphertexts = map[int]string{1: m.encrypt("k", "secret")}
	for v := 2; v <= 3; v++ {
		m.ops("rotate")
		ciphertexts[v] = m.encrypt("k", "secret")
	}
	return m, ciphertexts
}

// underPolicy is keyOf3 under a policy that does nothing by the clock unless told.
func underPolicy(t *testing.T, settings ...any) (m *mount, ciphertexts map[int]string) {
	t.Helper()
	m, ciphertexts = keyOf3(t)
	m.must(m.write("policies/p", append([]any{
		"owner", "o", "rotation_period", 0, "destroy_delay", "24h", "quiet_period", 0, "min_versions_kept", 0,
	}, settings...)...))
	m.must(m.write("keys/k/config", "policy", "p"))
	return m, ciphertexts
}

// reach leads from keyOf3 to each state of a version; the version is 2 but for the first two.
var reach = map[string][]string{
	"pre_active": {"rotate?stage"}, "active": {}, "deactivated": {},
	"suspended": {"versions/2/suspend"}, "archived": {"versions/2/archive"}, "compromised": {"versions/2/compromise"},
	"retired": {"versions/2/archive", "versions/2/retire"}, "destroyed": {"versions/2/archive", "versions/2/retire", "31d"},
}

func inState(t *testing.T, state string) (m *mount, version int, ciphertexts map[int]string) {
	t.Helper()
	m, ciphertexts = keyOf3(t)
	version = cmp.Or(map[string]int{"pre_active": 4, "active": 3}[state], 2)
	if state == "pre_active" {
		m.must(m.op("rotate", "stage", true))
	} else {
		m.ops(reach[state]...)
	}
	require.Equal(t, state, m.state(version))
	return m, version, ciphertexts
}

func TestAStateSaysWhatAVersionMayDo(t *testing.T) {
	for state, may := range map[string]struct{ protect, process bool }{
		"pre_active": {false, true}, "active": {true, true}, "deactivated": {true, true}, "suspended": {}, "archived": {},
		"compromised": {false, true}, "retired": {}, "destroyed": {},
	} {
		m, v, ciphertexts := inState(t, state)
		requireUse := func(allowed bool, a answer) {
			t.Helper()
			if allowed {
				m.must(a)
			} else {
				m.refused(a, fmt.Sprint(v), state)
			}
		}
		requireUse(may.protect, m.write("encrypt/k", "plaintext", b64("x"), "key_version", v))
		requireUse(may.protect, m.write("datakey/wrapped/k", "key_version", v))
		requireUse(may.protect, m.write("rewrap/k", "ciphertext", ciphertexts[1], "key_version", v))
		if ciphertexts[v] != "" {
			requireUse(may.process, m.write("decrypt/k", "ciphertext", ciphertexts[v]))
			requireUse(may.process, m.write("rewrap/k", "ciphertext", ciphertexts[v]))
		}
		require.Equal(t, "secret", m.decrypt("k", ciphertexts[1]), "another version is not concerned")
		require.Equal(t, "vault:v3:", m.encrypt("k", "x")[:9], "the active version is another")
	}
}

// edgesOfVersions is the contract (design/lifecycle.md, section 3), as a client sees it.
var edgesOfVersions = map[string]map[string]string{
	"promote":    {"pre_active": "active"},
	"suspend":    {"pre_active": "suspended", "active": "suspended", "deactivated": "suspended"},
	"resume":     {"suspended": "deactivated"},
	"archive":    {"deactivated": "archived"},
	"recover":    {"archived": "deactivated"},
	"retire":     {"pre_active": "retired", "archived": "retired", "compromised": "retired"},
	"restore":    {"retired": "archived"},
	"compromise": {"pre_active": "compromised", "active": "compromised", "deactivated": "compromised", "suspended": "compromised", "archived": "compromised", "retired": "compromised"},
}

func TestEveryOperationInEveryState(t *testing.T) {
	for state := range reach {
		for op, edges := range edgesOfVersions {
			t.Run(state+"/"+op, func(t *testing.T) {
				t.Parallel()
				m, v, _ := inState(t, state)
				m.storage.Reset()
				got := m.op(fmt.Sprintf("versions/%d/%s", v, op))
				if to, ok := edges[state]; ok {
					m.must(got)
					require.Equal(t, to, m.state(v))
					m.restart()
					require.Equal(t, to, m.state(v), "it is stored")
					return
				}
				require.Zero(t, m.storage.Reset().Writes(), "a refused operation writes nothing")
				m.refused(got, fmt.Sprintf("version %d is %s", v, state), op+" needs", "possible now")
				for from := range edges {
					require.Contains(t, got.err, from)
				}
				require.Equal(t, state, m.state(v))
			})
		}
	}
}

func TestUndoingLeadsBack(t *testing.T) {
	for _, way := range [][2]string{
		{"versions/2/suspend", "versions/2/resume"},
		{"versions/3/suspend", "versions/3/resume"},
		{"versions/2/archive", "versions/2/recover"},
		{"suspend", "resume"},
		{"archive", "recover"},
		{"soft-delete", "soft-delete-restore"},
	} {
		m, ciphertexts := keyOf3(t)
		before := m.states()
		m.ops(way[0])
		require.NotEqual(t, before, m.states(), way[0])
		m.restart()
		m.ops(way[1])
		require.Equal(t, before, m.states(), way[1])
		for _, c := range ciphertexts {
			require.Equal(t, "secret", m.decrypt("k", c))
		}
		m.encrypt("k", "x")
	}
}

func TestARestoredVersionIsWhatItWas(t *testing.T) {
	m, ciphertexts := keyOf3(t)
	m.ops("versions/1/archive", "versions/1/retire", "versions/1/restore")
	require.Equal(t, "archived", m.state(1))
	m.ops("versions/1/recover")
	require.Equal(t, "secret", m.decrypt("k", ciphertexts[1]))
	m.ops("versions/2/compromise", "versions/2/retire", "versions/2/restore")
	require.Equal(t, "compromised", m.state(2), "a compromise is never cleared")
	require.Equal(t, "secret", m.decrypt("k", ciphertexts[2]))
	m.must(m.op("rotate", "stage", true))
	m.ops("versions/4/retire", "versions/4/restore")
	require.Equal(t, "pre_active", m.state(4))
	m.ops("versions/4/promote")
	require.Equal(t, []string{"deactivated", "compromised", "deactivated", "active"}, m.states())
}

func TestAStagedVersionIsTheOnlyOneAndWaits(t *testing.T) {
	m, _ := keyOf3(t)
	staged := m.must(m.op("rotate", "stage", true)).data
	require.Equal(t, 4, staged["staged_version"])
	require.Equal(t, 3, staged["primary_version"])
	require.Equal(t, "vault:v3:", m.encrypt("k", "x")[:9])
	m.refused(m.op("rotate"), "version 4", "staged", "promote or retire")
	m.refused(m.op("rotate", "stage", true), "staged")
	m.ops("versions/4/retire", "rotate")
	m.refused(m.op("versions/5/promote"), "active")
	m.must(m.op("rotate", "stage", true))
	m.refused(m.op("versions/4/restore"), "version 6")
}

func TestAVersionBelowTheFloorIsNotPromoted(t *testing.T) {
	for _, restored := range []string{"versions/4/restore", "versions/1/archive"} {
		m, _ := keyOf3(t)
		m.must(m.op("rotate", "stage", true))
		m.ops("versions/4/retire", "rotate", restored)
		for _, a := range []answer{m.write("keys/k/config", "min_decryption_version", 5), m.op("versions/4/restore"), m.op("versions/4/promote")} {
			require.Contains(t, []int{200, 400}, a.status)
		}
		require.Equal(t, "x", m.decrypt("k", m.encrypt("k", "x")), "what is encrypted can be decrypted")
	}
}

func TestARollbackMakesTheVersionBeforeActiveInsideTheWindow(t *testing.T) {
	m, ciphertexts := underPolicy(t, "rollback_window", "2h")
	m.ops("rotate")
	m.clock.add(2 * time.Hour)
	m.ops("rollback")
	require.Equal(t, []string{"deactivated", "deactivated", "active", "deactivated"}, m.states())
	require.Equal(t, "vault:v3:", m.encrypt("k", "x")[:9])
	m.ops("versions/2/compromise", "rollback")
	require.Equal(t, []string{"active", "compromised", "deactivated", "deactivated"}, m.states(), "never back to a compromised one")
	m.refused(m.op("rollback"), "no deactivated version before version 1")
	m.ops("rotate")
	require.Equal(t, "vault:v5:", m.encrypt("k", "x")[:9], "numbers are never used again")
	require.Equal(t, "secret", m.decrypt("k", ciphertexts[1]))
	m.clock.add(2*time.Hour + time.Second)
	m.refused(m.op("rollback"), "rollback_window of 2h0m0s ended at")
}

func TestARollbackLeadsToNoVersionThatWasRolledBackFrom(t *testing.T) {
	m, _ := underPolicy(t)
	m.ops("rollback", "rotate", "rollback")
	require.Equal(t, []string{"deactivated", "active", "deactivated", "deactivated"}, m.states())
	m.restart()
	m.setStored("policies/p", "post_checks", []string{"unknown_check"})
	m.refused(m.op("rotate"), "version 5 was rolled back, version 2 is active")
}

func TestARollbackPassesOverADestroyedVersion(t *testing.T) {
	m, _ := keyOf3(t)
	m.ops("versions/2/archive", "versions/2/retire", "31d", "rollback")
	require.Equal(t, []string{"active", "destroyed", "deactivated"}, m.states())
}

func TestACompromisedActiveVersionIsReplacedAtOnce(t *testing.T) {
	m, ciphertexts := keyOf3(t)
	a := m.must(m.op("versions/3/compromise", "reason_code", "key_compromise", "occurred_at", "2026-02-01T00:00:00Z")).data
	require.Equal(t, 4, a["primary_version"])
	require.Equal(t, []string{"deactivated", "deactivated", "compromised", "active"}, m.states())
	require.Equal(t, "vault:v4:", m.encrypt("k", "x")[:9])
	require.Equal(t, "vault:v4:", m.must(m.write("rewrap/k", "ciphertext", ciphertexts[3])).data["ciphertext"].(string)[:9])
	v := m.must(m.read("keys/k/versions/3")).data
	require.Equal(t, "key_compromise", v["compromise_reason_code"])
	require.Equal(t, "2026-02-01T00:00:00Z", v["compromise_occurred_time"])
	require.Equal(t, start.Format(time.RFC3339), v["compromise_reported_time"])
	report := m.must(m.read("keys/k/compromise-report")).data["versions"].([]map[string]any)
	require.Len(t, report, 1)
	require.Equal(t, map[string]any{
		"version": 3, "state": "compromised", "reason_code": "key_compromise", "occurred_time": "2026-02-01T00:00:00Z",
		"reported_time": start.Format(time.RFC3339), "protected_from": start.Truncate(time.Second).Format(time.RFC3339),
		"protected_until": start.Truncate(time.Second).Format(time.RFC3339), "processes": true, "rewraps": true, "ciphertext_prefix": "vault:v3:", "replaced_by": 4,
	}, report[0])

	m.must(m.op("rotate", "stage", true))
	m.ops("versions/4/compromise")
	require.Equal(t, 5, m.must(m.read("keys/k")).data["primary_version"], "a staged version steps in")
	m.refused(m.op("versions/5/compromise", "reason_code", "boredom"), "reason_code", "key_compromise")
	m.refused(m.op("versions/5/compromise", "occurred_at", "2027-01-01T00:00:00Z"), "occurred_at", "future")
	m.refused(m.op("versions/5/compromise", "occurred_at", "yesterday"), "occurred_at", "RFC 3339")
}

func TestACompromisedActiveVersionIsReplacedAlsoWhileTheStagedOneIsSuspended(t *testing.T) {
	for _, way := range [][]string{
		{"versions/4/suspend", "versions/3/compromise"},
		{"versions/4/suspend", "suspend", "versions/3/compromise", "resume"}, // by the tick
	} {
		m, _ := keyOf3(t)
		m.must(m.op("rotate", "stage", true))
		m.ops(way...)
		m.advance(time.Minute)
		require.Equal(t, []string{"deactivated", "deactivated", "compromised", "suspended", "active"}, m.states())
		require.Equal(t, "vault:v5:", m.encrypt("k", "x")[:9])
		m.ops("versions/4/resume")
		require.Equal(t, "pre_active", m.state(4))
		require.Equal(t, 4, m.read("keys/k").data["staged_version"])
	}
}

func TestACompromiseIsRememberedWhenTheVersionIsDestroyed(t *testing.T) {
	for _, v := range []int{1, 2} {
		m, _ := keyOf3(t)
		m.ops(fmt.Sprintf("versions/%d/compromise", v), fmt.Sprintf("versions/%d/retire", v), "31d")
		require.Equal(t, "destroyed", m.state(v))
		require.Len(t, m.must(m.read("keys/k/compromise-report")).data["versions"], 1, "version %d", v)
		require.NotEmpty(t, m.must(m.read(fmt.Sprintf("keys/k/versions/%d", v))).data["compromise_reported_time"])
	}
}

func TestAnyVersionOfAnArchivedOrRetiredKeyCanBeReportedAsCompromised(t *testing.T) {
	for _, way := range [][]string{{"suspend"}, {"archive"}, {"archive", "retire"}} {
		m, _ := keyOf3(t)
		m.ops(append(slices.Clone(way), "versions/2/compromise")...)
		require.Len(t, m.must(m.read("keys/k/compromise-report")).data["versions"], 1, "%v", way)
	}
}

func TestASuspendedKeyRefusesEveryUseFromTheNextRequestOn(t *testing.T) {
	m, c := keyOf3(t)
	uses := func() map[string]answer {
		return map[string]answer{
			"encrypt": m.write("encrypt/k", "plaintext", b64("x")), "decrypt": m.write("decrypt/k", "ciphertext", c[1]),
			"rewrap": m.write("rewrap/k", "ciphertext", c[3]), "datakey": m.write("datakey/plaintext/k"),
			"pinned": m.write("encrypt/k", "plaintext", "", "key_version", 2), "rotate": m.op("rotate"),
		}
	}
	for name, a := range uses() {
		require.Less(t, a.status, 300, name)
	}
	for i := range 3 {
		m.ops("suspend")
		if i == 1 {
			m.restart()
		}
		for name, a := range uses() {
			require.Equal(t, 400, a.status, name)
			require.Contains(t, a.err, "suspended", name)
		}
		m.ops("resume")
		for name, a := range uses() {
			require.Less(t, a.status, 300, "%s: %s", name, a.err)
		}
	}
	require.Equal(t, 200, m.delete("keys/k/soft-delete").status)
	require.Equal(t, true, m.read("keys/k").data["soft_deleted"])
	m.refused(m.op("rotate"), "suspended")
}

func TestOperationsOnWholeKeys(t *testing.T) {
	edges := map[string]map[string]string{ // operation: from: to
		"suspend": {"enabled": "suspended"}, "resume": {"suspended": "enabled"}, "archive": {"enabled": "archived", "suspended": "archived"},
		"recover": {"archived": "enabled"}, "retire": {"archived": "retired"}, "restore": {"retired": "archived"}, "rollback": {"enabled": "enabled"},
	}
	for state, way := range map[string][]string{
		"enabled": nil, "suspended": {"suspend"}, "archived": {"archive"}, "retired": {"archive", "retire"}, "destroyed": {"archive", "retire", "31d"},
	} {
		for op := range edges {
			m, c := keyOf3(t)
			m.ops(way...)
			require.Equal(t, state, m.read("keys/k").data["state"])
			a := m.op(op)
			if to, ok := edges[op][state]; ok {
				require.Equal(t, to, m.must(a).data["state"])
				continue
			}
			m.refused(a, "is "+state, op+" needs")
			require.Equal(t, state, m.read("keys/k").data["state"])
			if state != "enabled" {
				m.refused(m.write("decrypt/k", "ciphertext", c[1]), state)
				m.refused(m.write("encrypt/k", "plaintext", ""), state)
				m.refused(m.op("rotate"), state)
			}
		}
	}
}
