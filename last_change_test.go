// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lastChange is act and details of the last change of a version of key k.
func (m *mount) lastChange(version int) (act any, details map[string]any) {
	m.t.Helper()
	change := m.must(m.read(fmt.Sprintf("keys/k/versions/%d", version))).data["last_change"].(map[string]any)
	details, _ = change["details"].(map[string]any)
	return change["act"], details
}

func TestTheLastChangeOfAVersionIsAlsoOneThatDoesNotNameIt(t *testing.T) {
	t.Parallel()
	for _, a := range []struct {
		act     string
		way     func(m *mount)
		version int
	}{
		{"rotate", func(*mount) {}, 2},
		{"rotate", func(*mount) {}, 1},
		{"rollback", func(m *mount) { m.ops("rollback") }, 3},
		{"rollback", func(m *mount) { m.ops("rollback") }, 2},
		{"promote", func(m *mount) { m.must(m.op("rotate", "stage", true)); m.ops("versions/4/promote") }, 3},
		{"rotate", func(m *mount) { m.must(m.op("rotate", "stage", true)); m.ops("versions/4/promote") }, 2},
		{"compromise", func(m *mount) { m.ops("versions/3/compromise") }, 3},
		{"compromise", func(m *mount) { m.ops("versions/3/compromise") }, 4},
		{"suspend", func(m *mount) { m.ops("suspend") }, 1},
		{"resume", func(m *mount) { m.ops("suspend", "resume") }, 3},
		{"rotate", func(m *mount) { m.ops("suspend", "resume", "rotate") }, 4},
		{"destroy", func(m *mount) { m.ops("archive", "retire", "31d") }, 2},
		{"destroy", func(m *mount) { m.ops("versions/1/archive", "versions/1/retire", "31d", "suspend") }, 1},
		{"configure", func(m *mount) { m.must(m.write("keys/k/config", "min_decryption_version", 3)) }, 2},
		{"rotate", func(m *mount) { m.must(m.write("keys/k/config", "min_decryption_version", 2)) }, 2},
		{"archive", func(m *mount) {
			m.ops("versions/1/archive")
			m.must(m.write("keys/k/config", "min_decryption_version", 2))
		}, 1},
		{"trim", func(m *mount) {
			m.must(m.write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 2))
			m.must(m.op("trim", "min_available_version", 2))
			m.ops("suspend")
		}, 1},
		{"rotate", func(m *mount) { m.ops("hold"); m.must(m.write("keys/k/config", "owner", "o")) }, 3},
	} {
		m, _ := keyOf3(t)
		a.way(m)
		act, _ := m.lastChange(a.version)
		require.Equal(t, a.act, act, "version %d of %v", a.version, m.states())
	}
}

func TestAnActThatFailedIsNoChange(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	m.storage.FailWrite(2, false)
	require.Equal(t, 500, m.op("versions/2/suspend").status)
	m.storage.Heal()
	act, _ := m.lastChange(2)
	require.Equal(t, "rotate", act)
}

func TestAKeyOfTheNameBeforeChangedNoVersionOfThisOne(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	m.must(m.write("keys/k/config", "deletion_allowed", true))
	m.ops("suspend")
	m.must(m.delete("keys/k"))
	m.must(m.write("keys/k"))
	act, _ := m.lastChange(1)
	require.Equal(t, "create", act)
	cut(m, "journal/k/0000000013")
	act, _ = m.lastChange(1)
	require.Nil(t, act)
}

func TestCustodyTellsTheReportedVersionFromTheOneThatTookOver(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	m.ops("versions/3/compromise")
	fingerprint := m.must(m.read("keys/k/versions/4")).data["fingerprint"]
	begin := lastAct(m)
	require.Equal(t, []any{3.0}, begin["versions"])
	require.Equal(t, []any{"active", "compromised"}, []any{begin["from"], begin["to"]})
	require.Equal(t, map[string]any{
		"transition": "T13", "reason_code": "unspecified", "replaced_by": "new version", "successor": "4", "successor_transition": "T14",
		"successor_fingerprint": fingerprint,
	}, begin["details"])

	m.must(m.op("rotate", "stage", true))
	m.ops("versions/4/compromise")
	require.Equal(t, map[string]any{
		"transition": "T13", "reason_code": "unspecified", "replaced_by": "staged version", "successor": "5", "successor_transition": "T14",
	}, lastAct(m)["details"])

	m.ops("rotate")
	require.Equal(t, "5", lastAct(m)["details"].(map[string]any)["superseded"])
	m.ops("rollback")
	require.Equal(t, map[string]any{"transition": "T3", "superseded": "6"}, lastAct(m)["details"])
	m.ops("versions/2/compromise")
	require.Equal(t, map[string]any{"transition": "T13", "reason_code": "unspecified"}, lastAct(m)["details"], "nothing had to take over")
	requireCustodyWhole(t, m)
}

func TestACompromisedVersionIsNotItsOwnReplacement(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	replaced := func() (by []any) {
		for _, row := range m.must(m.read("keys/k/compromise-report")).data["versions"].([]map[string]any) {
			by = append(by, row["replaced_by"])
		}
		return by
	}
	m.ops("suspend", "versions/2/compromise")
	require.Equal(t, []any{3}, replaced())
	m.ops("versions/3/compromise")
	require.Equal(t, []any{0, 0}, replaced(), "a suspended key gets no new version")
	m.ops("resume")
	m.advance(2 * time.Minute)
	require.Equal(t, []any{4, 4}, replaced())
	require.Equal(t, "3", lastAct(m)["details"].(map[string]any)["superseded"])
}
