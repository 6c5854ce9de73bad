// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package states_test is about the states of versions and of whole keys: what each may do, which operations lead where,
// and what becomes of the material.
package states_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// reach leads from KeyOf3 to each state of a version; the version is 2 but for the first two.
var reach = map[string][]string{
	"pre_active": {"rotate?stage"}, "active": {}, "deactivated": {},
	"suspended": {"versions/2/suspend"}, "archived": {"versions/2/archive"}, "compromised": {"versions/2/compromise"},
	"retired": {"versions/2/archive", "versions/2/retire"}, "destroyed": {"versions/2/archive", "versions/2/retire", "31d"},
}

func inState(t *testing.T, state string) (m *mounttest.Mount, version int, ciphertexts map[int]string) {
	t.Helper()
	m, ciphertexts = mounttest.KeyOf3(t)
	version = cmp.Or(map[string]int{"pre_active": 4, "active": 3}[state], 2)
	if state == "pre_active" {
		m.Must(m.K.Op("rotate", "stage", true))
	} else {
		m.K.Ops(reach[state]...)
	}
	require.Equal(t, state, m.K.State(version))
	return m, version, ciphertexts
}

func TestAStateSaysWhatAVersionMayDo(t *testing.T) {
	for state, may := range map[string]struct{ protect, process bool }{
		"pre_active": {false, true}, "active": {true, true}, "deactivated": {true, true}, "suspended": {}, "archived": {},
		"compromised": {false, true}, "retired": {}, "destroyed": {},
	} {
		m, v, ciphertexts := inState(t, state)
		requireUse := func(allowed bool, a mounttest.Answer) {
			t.Helper()
			if allowed {
				m.Must(a)
			} else {
				m.Refused(a, fmt.Sprint(v), state)
			}
		}
		requireUse(may.protect, m.Write("encrypt/k", "plaintext", mounttest.B64("x"), "key_version", v))
		requireUse(may.protect, m.Write("datakey/wrapped/k", "key_version", v))
		requireUse(may.protect, m.Write("rewrap/k", "ciphertext", ciphertexts[1], "key_version", v))
		if ciphertexts[v] != "" {
			requireUse(may.process, m.Write("decrypt/k", "ciphertext", ciphertexts[v]))
			requireUse(may.process, m.Write("rewrap/k", "ciphertext", ciphertexts[v]))
		}
		require.Equal(t, "secret", m.Decrypt("k", ciphertexts[1]), "another version is not concerned")
		require.Equal(t, "vault:v3:", m.Encrypt("k", "x")[:9], "the active version is another")
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
	racetest.Skip(t, "one goroutine works alone")
	for state := range reach {
		for op, edges := range edgesOfVersions {
			t.Run(state+"/"+op, func(t *testing.T) {
				t.Parallel()
				m, v, _ := inState(t, state)
				m.Storage.Reset()
				got := m.K.Op(fmt.Sprintf("versions/%d/%s", v, op))
				if to, ok := edges[state]; ok {
					m.Must(got)
					require.Equal(t, to, m.K.State(v))
					m.Restart()
					require.Equal(t, to, m.K.State(v), "it is stored")
					return
				}
				require.Zero(t, m.Storage.Reset().Writes(), "a refused operation writes nothing")
				m.Refused(got, fmt.Sprintf("version %d is %s", v, state), op+" needs", "possible now")
				for from := range edges {
					require.Contains(t, got.Err, from)
				}
				require.Equal(t, state, m.K.State(v))
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
		m, ciphertexts := mounttest.KeyOf3(t)
		before := m.K.States()
		m.K.Ops(way[0])
		require.NotEqual(t, before, m.K.States(), way[0])
		m.Restart()
		m.K.Ops(way[1])
		require.Equal(t, before, m.K.States(), way[1])
		for _, c := range ciphertexts {
			require.Equal(t, "secret", m.Decrypt("k", c))
		}
		m.Encrypt("k", "x")
	}
}

func TestARestoredVersionIsWhatItWas(t *testing.T) {
	m, ciphertexts := mounttest.KeyOf3(t)
	m.K.Ops("versions/1/archive", "versions/1/retire", "versions/1/restore")
	require.Equal(t, "archived", m.K.State(1))
	m.K.Ops("versions/1/recover")
	require.Equal(t, "secret", m.Decrypt("k", ciphertexts[1]))
	m.K.Ops("versions/2/compromise", "versions/2/retire", "versions/2/restore")
	require.Equal(t, "compromised", m.K.State(2), "a compromise is never cleared")
	require.Equal(t, "secret", m.Decrypt("k", ciphertexts[2]))
	m.Must(m.K.Op("rotate", "stage", true))
	m.K.Ops("versions/4/retire", "versions/4/restore")
	require.Equal(t, "pre_active", m.K.State(4))
	m.K.Ops("versions/4/promote")
	require.Equal(t, []string{"deactivated", "compromised", "deactivated", "active"}, m.K.States())
}

func TestAStagedVersionIsTheOnlyOneAndWaits(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	staged := m.Must(m.K.Op("rotate", "stage", true)).Data
	require.Equal(t, 4, staged["staged_version"])
	require.Equal(t, 3, staged["primary_version"])
	require.Equal(t, "vault:v3:", m.Encrypt("k", "x")[:9])
	m.Refused(m.K.Op("rotate"), "version 4", "staged", "promote or retire")
	m.Refused(m.K.Op("rotate", "stage", true), "staged")
	m.K.Ops("versions/4/retire", "rotate")
	m.Refused(m.K.Op("versions/5/promote"), "active")
	m.Must(m.K.Op("rotate", "stage", true))
	m.Refused(m.K.Op("versions/4/restore"), "version 6")
}

func TestAVersionBelowTheFloorIsNotPromoted(t *testing.T) {
	for _, restored := range []string{"versions/4/restore", "versions/1/archive"} {
		m, _ := mounttest.KeyOf3(t)
		m.Must(m.K.Op("rotate", "stage", true))
		m.K.Ops("versions/4/retire", "rotate", restored)
		for _, a := range []mounttest.Answer{m.Write("keys/k/config", "min_decryption_version", 5), m.K.Op("versions/4/restore"), m.K.Op("versions/4/promote")} {
			require.Contains(t, []int{200, 400}, a.Status)
		}
		require.Equal(t, "x", m.Decrypt("k", m.Encrypt("k", "x")), "what is encrypted can be decrypted")
	}
}

func TestARollbackMakesTheVersionBeforeActiveInsideTheWindow(t *testing.T) {
	m, ciphertexts := mounttest.UnderPolicy(t, "rollback_window", "2h")
	m.K.Ops("rotate")
	m.Clock.Add(2 * time.Hour)
	m.K.Ops("rollback")
	require.Equal(t, []string{"deactivated", "deactivated", "active", "deactivated"}, m.K.States())
	require.Equal(t, "vault:v3:", m.Encrypt("k", "x")[:9])
	m.K.Ops("versions/2/compromise", "rollback")
	require.Equal(t, []string{"active", "compromised", "deactivated", "deactivated"}, m.K.States(), "never back to a compromised one")
	m.Refused(m.K.Op("rollback"), "no deactivated version before version 1")
	m.K.Ops("rotate")
	require.Equal(t, "vault:v5:", m.Encrypt("k", "x")[:9], "numbers are never used again")
	require.Equal(t, "secret", m.Decrypt("k", ciphertexts[1]))
	m.Clock.Add(2*time.Hour + time.Second)
	m.Refused(m.K.Op("rollback"), "rollback_window of 2h ended at")
}

func TestARollbackLeadsToNoVersionThatWasRolledBackFrom(t *testing.T) {
	m, _ := mounttest.UnderPolicy(t)
	m.K.Ops("rollback", "rotate", "rollback")
	require.Equal(t, []string{"deactivated", "active", "deactivated", "deactivated"}, m.K.States())
	m.Restart()
	m.SetStored("policies/p", "post_checks", []string{"unknown_check"})
	m.Refused(m.K.Op("rotate"), "version 5 was rolled back, version 2 is active")
}

func TestARollbackPassesOverADestroyedVersion(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive", "versions/2/retire", "31d", "rollback")
	require.Equal(t, []string{"active", "destroyed", "deactivated"}, m.K.States())
}

func TestACompromisedActiveVersionIsReplacedAtOnce(t *testing.T) {
	m, ciphertexts := mounttest.KeyOf3(t)
	a := m.Must(m.K.Op("versions/3/compromise", "reason_code", "key_compromise", "occurred_at", "2026-02-01T00:00:00Z")).Data
	require.Equal(t, 4, a["primary_version"])
	require.Equal(t, []string{"deactivated", "deactivated", "compromised", "active"}, m.K.States())
	require.Equal(t, "vault:v4:", m.Encrypt("k", "x")[:9])
	require.Equal(t, "vault:v4:", m.Must(m.Write("rewrap/k", "ciphertext", ciphertexts[3])).Data["ciphertext"].(string)[:9])
	v := m.Must(m.Read("keys/k/versions/3")).Data
	require.Equal(t, "key_compromise", v["compromise_reason_code"])
	require.Equal(t, "2026-02-01T00:00:00Z", v["compromise_occurred_time"])
	require.Equal(t, mounttest.Start.Format(time.RFC3339), v["compromise_reported_time"])
	report := m.Must(m.Read("keys/k/compromise-report")).Data["versions"].([]map[string]any)
	require.Len(t, report, 1)
	require.Equal(t, map[string]any{
		"version": 3, "state": "compromised", "reason_code": "key_compromise", "occurred_time": "2026-02-01T00:00:00Z",
		"reported_time": mounttest.Start.Format(time.RFC3339), "protected_from": mounttest.Start.Truncate(time.Second).Format(time.RFC3339),
		"protected_until": mounttest.Start.Truncate(time.Second).Format(time.RFC3339), "processes": true, "rewraps": true, "ciphertext_prefix": "vault:v3:", "replaced_by": 4,
	}, report[0])

	m.Must(m.K.Op("rotate", "stage", true))
	m.K.Ops("versions/4/compromise")
	require.Equal(t, 5, m.Must(m.Read("keys/k")).Data["primary_version"], "a staged version steps in")
	m.Refused(m.K.Op("versions/5/compromise", "reason_code", "boredom"), "reason_code", "key_compromise")
	m.Refused(m.K.Op("versions/5/compromise", "occurred_at", "2027-01-01T00:00:00Z"), "occurred_at", "future")
	m.Refused(m.K.Op("versions/5/compromise", "occurred_at", "yesterday"), "occurred_at", "RFC 3339")
}

func TestACompromisedActiveVersionIsReplacedAlsoWhileTheStagedOneIsSuspended(t *testing.T) {
	for _, way := range [][]string{
		{"versions/4/suspend", "versions/3/compromise"},
		{"versions/4/suspend", "suspend", "versions/3/compromise", "resume"}, // by the tick
	} {
		m, _ := mounttest.KeyOf3(t)
		m.Must(m.K.Op("rotate", "stage", true))
		m.K.Ops(way...)
		m.Advance(time.Minute)
		require.Equal(t, []string{"deactivated", "deactivated", "compromised", "suspended", "active"}, m.K.States())
		require.Equal(t, "vault:v5:", m.Encrypt("k", "x")[:9])
		m.K.Ops("versions/4/resume")
		require.Equal(t, "pre_active", m.K.State(4))
		require.Equal(t, 4, m.Read("keys/k").Data["staged_version"])
	}
}

func TestACompromiseIsRememberedWhenTheVersionIsDestroyed(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	for _, v := range []int{1, 2} {
		m, _ := mounttest.KeyOf3(t)
		m.K.Ops(fmt.Sprintf("versions/%d/compromise", v), fmt.Sprintf("versions/%d/retire", v), "31d")
		require.Equal(t, "destroyed", m.K.State(v))
		require.Len(t, m.Must(m.Read("keys/k/compromise-report")).Data["versions"], 1, "version %d", v)
		require.NotEmpty(t, m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d", v))).Data["compromise_reported_time"])
	}
}

func TestAnyVersionOfAnArchivedOrRetiredKeyCanBeReportedAsCompromised(t *testing.T) {
	for _, way := range [][]string{{"suspend"}, {"archive"}, {"archive", "retire"}} {
		m, _ := mounttest.KeyOf3(t)
		m.K.Ops(append(slices.Clone(way), "versions/2/compromise")...)
		require.Len(t, m.Must(m.Read("keys/k/compromise-report")).Data["versions"], 1, "%v", way)
	}
}

func TestASuspendedKeyRefusesEveryUseFromTheNextRequestOn(t *testing.T) {
	m, c := mounttest.KeyOf3(t)
	uses := func() map[string]mounttest.Answer {
		return map[string]mounttest.Answer{
			"encrypt": m.Write("encrypt/k", "plaintext", mounttest.B64("x")), "decrypt": m.Write("decrypt/k", "ciphertext", c[1]),
			"rewrap": m.Write("rewrap/k", "ciphertext", c[3]), "datakey": m.Write("datakey/plaintext/k"),
			"pinned": m.Write("encrypt/k", "plaintext", "", "key_version", 2), "rotate": m.K.Op("rotate"),
		}
	}
	for name, a := range uses() {
		require.Less(t, a.Status, 300, name)
	}
	for i := range 3 {
		m.K.Ops("suspend")
		if i == 1 {
			m.Restart()
		}
		for name, a := range uses() {
			require.Equal(t, 400, a.Status, name)
			require.Contains(t, a.Err, "suspended", name)
		}
		m.K.Ops("resume")
		for name, a := range uses() {
			require.Less(t, a.Status, 300, "%s: %s", name, a.Err)
		}
	}
	require.Equal(t, 200, m.Delete("keys/k/soft-delete").Status)
	require.Equal(t, true, m.Read("keys/k").Data["soft_deleted"])
	m.Refused(m.K.Op("rotate"), "suspended")
}

func TestOperationsOnWholeKeys(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	edges := map[string]map[string]string{ // operation: from: to
		"suspend": {"enabled": "suspended"}, "resume": {"suspended": "enabled"}, "archive": {"enabled": "archived", "suspended": "archived"},
		"recover": {"archived": "enabled"}, "retire": {"archived": "retired"}, "restore": {"retired": "archived"}, "rollback": {"enabled": "enabled"},
	}
	for state, way := range map[string][]string{
		"enabled": nil, "suspended": {"suspend"}, "archived": {"archive"}, "retired": {"archive", "retire"}, "destroyed": {"archive", "retire", "31d"},
	} {
		for op := range edges {
			m, c := mounttest.KeyOf3(t)
			m.K.Ops(way...)
			require.Equal(t, state, m.Read("keys/k").Data["state"])
			a := m.K.Op(op)
			if to, ok := edges[op][state]; ok {
				require.Equal(t, to, m.Must(a).Data["state"])
				continue
			}
			m.Refused(a, "is "+state, op+" needs")
			require.Equal(t, state, m.Read("keys/k").Data["state"])
			if state != "enabled" {
				m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), state)
				m.Refused(m.Write("encrypt/k", "plaintext", ""), state)
				m.Refused(m.K.Op("rotate"), state)
			}
		}
	}
}
