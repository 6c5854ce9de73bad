// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// lastChange is act and details of the last change of a version of key k.
func lastChange(m *mounttest.Mount, version int) (act any, details map[string]any) {
	m.T.Helper()
	change := m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d", version))).Data["last_change"].(map[string]any)
	details, _ = change["details"].(map[string]any)
	return change["act"], details
}

func TestTheLastChangeOfAVersionIsAlsoOneThatDoesNotNameIt(t *testing.T) {
	t.Parallel()
	for _, a := range []struct {
		act     string
		way     func(m *mounttest.Mount)
		version int
	}{
		{"rotate", func(*mounttest.Mount) {}, 2},
		{"rotate", func(*mounttest.Mount) {}, 1},
		{"rollback", func(m *mounttest.Mount) { m.K.Ops("rollback") }, 3},
		{"rollback", func(m *mounttest.Mount) { m.K.Ops("rollback") }, 2},
		{"promote", func(m *mounttest.Mount) { m.Must(m.K.Op("rotate", "stage", true)); m.K.Ops("versions/4/promote") }, 3},
		{"rotate", func(m *mounttest.Mount) { m.Must(m.K.Op("rotate", "stage", true)); m.K.Ops("versions/4/promote") }, 2},
		{"compromise", func(m *mounttest.Mount) { m.K.Ops("versions/3/compromise") }, 3},
		{"compromise", func(m *mounttest.Mount) { m.K.Ops("versions/3/compromise") }, 4},
		{"suspend", func(m *mounttest.Mount) { m.K.Ops("suspend") }, 1},
		{"resume", func(m *mounttest.Mount) { m.K.Ops("suspend", "resume") }, 3},
		{"rotate", func(m *mounttest.Mount) { m.K.Ops("suspend", "resume", "rotate") }, 4},
		{"destroy", func(m *mounttest.Mount) { m.K.Ops("archive", "retire", "31d") }, 2},
		{"destroy", func(m *mounttest.Mount) { m.K.Ops("versions/1/archive", "versions/1/retire", "31d", "suspend") }, 1},
		{"configure", func(m *mounttest.Mount) { m.Must(m.Write("keys/k/config", "min_decryption_version", 3)) }, 2},
		{"rotate", func(m *mounttest.Mount) { m.Must(m.Write("keys/k/config", "min_decryption_version", 2)) }, 2},
		{"archive", func(m *mounttest.Mount) {
			m.K.Ops("versions/1/archive")
			m.Must(m.Write("keys/k/config", "min_decryption_version", 2))
		}, 1},
		{"trim", func(m *mounttest.Mount) {
			m.Must(m.Write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 2))
			m.Must(m.K.Op("trim", "min_available_version", 2))
			m.K.Ops("suspend")
		}, 1},
		{"rotate", func(m *mounttest.Mount) { m.K.Ops("hold"); m.Must(m.Write("keys/k/config", "owner", "o")) }, 3},
	} {
		m, _ := mounttest.KeyOf3(t)
		a.way(m)
		act, _ := lastChange(m, a.version)
		require.Equal(t, a.act, act, "version %d of %v", a.version, m.K.States())
	}
}

func TestAnActThatFailedIsNoChange(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	m.Storage.FailWrite(2, false)
	require.Equal(t, 500, m.K.Op("versions/2/suspend").Status)
	m.Storage.Heal()
	act, _ := lastChange(m, 2)
	require.Equal(t, "rotate", act)
}

func TestAKeyOfTheNameBeforeChangedNoVersionOfThisOne(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	m.K.Ops("suspend")
	m.Must(m.Delete("keys/k"))
	m.Must(m.Write("keys/k"))
	act, _ := lastChange(m, 1)
	require.Equal(t, "create", act)
	m.Storage.CutJournal("journal/k/0000000013")
	act, _ = lastChange(m, 1)
	require.Nil(t, act)
}

func TestCustodyTellsTheReportedVersionFromTheOneThatTookOver(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	m.K.Ops("versions/3/compromise")
	fingerprint := m.Must(m.Read("keys/k/versions/4")).Data["fingerprint"]
	begin := m.Storage.LastAct()
	require.Equal(t, []any{3.0}, begin["versions"])
	require.Equal(t, []any{"active", "compromised"}, []any{begin["from"], begin["to"]})
	require.Equal(t, map[string]any{
		"transition": "T13", "reason_code": "unspecified", "replaced_by": "new version", "successor": "4", "successor_transition": "T14",
		"successor_fingerprint": fingerprint,
	}, begin["details"])

	m.Must(m.K.Op("rotate", "stage", true))
	m.K.Ops("versions/4/compromise")
	require.Equal(t, map[string]any{
		"transition": "T13", "reason_code": "unspecified", "replaced_by": "staged version", "successor": "5", "successor_transition": "T14",
	}, m.Storage.LastAct()["details"])

	m.K.Ops("rotate")
	require.Equal(t, "5", m.Storage.LastAct()["details"].(map[string]any)["superseded"])
	m.K.Ops("rollback")
	require.Equal(t, map[string]any{"transition": "T3", "superseded": "6"}, m.Storage.LastAct()["details"])
	m.K.Ops("versions/2/compromise")
	require.Equal(t, map[string]any{"transition": "T13", "reason_code": "unspecified"}, m.Storage.LastAct()["details"], "nothing had to take over")
	mounttest.RequireCustodyWhole(t, m)
}

func TestACompromisedVersionIsNotItsOwnReplacement(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	replaced := func() (by []any) {
		for _, row := range m.Must(m.Read("keys/k/compromise-report")).Data["versions"].([]map[string]any) {
			by = append(by, row["replaced_by"])
		}
		return by
	}
	m.K.Ops("suspend", "versions/2/compromise")
	require.Equal(t, []any{3}, replaced())
	m.K.Ops("versions/3/compromise")
	require.Equal(t, []any{0, 0}, replaced(), "a suspended key gets no new version")
	m.K.Ops("resume")
	m.Advance(2 * time.Minute)
	require.Equal(t, []any{4, 4}, replaced())
	require.Equal(t, "3", m.Storage.LastAct()["details"].(map[string]any)["superseded"])
}
