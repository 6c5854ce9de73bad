// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package states_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

func TestADrillOfAWarmKeyWritesNothing(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.UnderPolicy(t, "max_encryptions", 1000, "quiet_period", "14d")
	m.Must(m.Write("keys/k/drill"))
	all := m.Storage.All()
	m.Storage.Reset()
	m.Must(m.Write("keys/k/drill", "version", 2, "reason", "of no effect"))
	require.Equal(t, storagetest.Counts{Gets: 5}, m.Storage.Reset(), "the clock, denied uses, and a lease a version")
	require.Equal(t, all, m.Storage.All())
}

func TestADrillThatIsKeptIsOneActOfCustody(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.UnderPolicy(t)
	revision := m.Must(m.Read("keys/k")).Data["revision"]
	m.Must(m.Write("keys/k/drill"))
	m.Storage.Reset()
	answer := m.Must(m.Write("keys/k/drill", "record", true, "reason", "drill of 2026"))
	require.Equal(t, 3, m.Storage.Reset().Puts, "it begins, the key's record has its date, it ends")
	require.Equal(t, true, answer.Data["recorded"])
	require.Equal(t, mounttest.Start.Format(time.RFC3339), answer.Data["last_drill"])
	require.Equal(t, revision, m.Must(m.Read("keys/k")).Data["revision"])
	require.Equal(t, []string{"deactivated", "deactivated", "active"}, m.K.States())

	last := m.Storage.Journal()
	begun := last[len(last)-2]
	require.Equal(t, "drill", begun.Act)
	require.Equal(t, "drill of 2026", begun.Reason)
	require.Empty(t, begun.Versions)
	require.Equal(t, "4", begun.Details["successor_version"])
	change := m.Must(m.Read("keys/k/versions/3")).Data["last_change_act"]
	require.NotEqual(t, "drill", change, "nothing became of the version")

	m.Restart()
	require.Equal(t, answer.Data["last_drill"], m.Must(m.Write("keys/k/drill")).Data["last_drill"])
}

func TestADrillThatIsDueIsNamedByDriftUntilItIsKept(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.UnderPolicy(t)
	require.Empty(t, m.Must(m.Write("keys/k/drill")).Data["next_drill"])
	m.Must(m.Write("policies/p", "drill_every", "365d"))
	due := mounttest.Start.Add(365 * 24 * time.Hour)
	require.Equal(t, due.Format(time.RFC3339), m.Must(m.Write("keys/k/drill")).Data["next_drill"])
	m.Clock.Add(due.Sub(m.Clock.Now()) - time.Second)
	require.NotContains(t, fmt.Sprint(m.Must(m.Read("policies/p/drift")).Data), "drill_every")
	m.Clock.Add(time.Second)
	require.Contains(t, fmt.Sprint(m.Must(m.Read("policies/p/drift")).Data), "a drill was due at "+due.Format(time.RFC3339)+", by drill_every")

	m.Must(m.Write("keys/k/drill"))
	require.Contains(t, fmt.Sprint(m.Must(m.Read("policies/p/drift")).Data), "drill_every", "one that is not kept is none")
	kept := m.Must(m.Write("keys/k/drill", "record", true, "reason", "drill of 2027"))
	require.Equal(t, due.Add(365*24*time.Hour).Format(time.RFC3339), kept.Data["next_drill"])
	require.NotContains(t, fmt.Sprint(m.Must(m.Read("policies/p/drift")).Data), "drill_every")
}

func TestWhatADrillIsToldIsChecked(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.UnderPolicy(t)
	before := m.Storage.All()
	m.Refused(m.Write("keys/k/drill", "version", 4, "record", true), "version: 4", "versions 1 to 3")
	m.Refused(m.Write("keys/k/drill", "version", -1, "record", true), "version: -1", "must not be negative")
	m.Refused(m.Write("keys/k/drill", "occurred_at", "yesterday", "record", true), "occurred_at", "RFC 3339")
	m.Refused(m.Write("keys/k/drill", "occurred_at", mounttest.Start.AddDate(1, 0, 0).Format(time.RFC3339), "record", true), "must not be in the future")
	m.Refused(m.Write("keys/other/drill"), "not found")
	require.Equal(t, before, m.Storage.All())
}
