// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/stretchr/testify/require"
)

// clockPolicy is a policy by which the clock does all it can do to a key.
func clockPolicy(t testing.TB, mode policy.RotationMode) *policy.Policy {
	t.Helper()
	doc := document(t)
	doc.RotationMode, doc.MinVersionsKept, doc.RotationWindow = mode, 1, ""
	p, err := policy.New("pci", 1, doc, start)
	require.NoError(t, err)
	return &p
}

// busy is a key with something to be done at every turn: 1 recovered for a time, 2 archived, 3 retired, 4 deactivated,
// 5 active, 6 staged.
func busy(t testing.TB) lifecycle.Key {
	t.Helper()
	k := staged(t, 5)
	recover := free(later.Add(day))
	recover.Until = later.Add(50 * day)
	k = step(t, steps(t, k, 1, lifecycle.Archive), lifecycle.Recover, 1, recover)
	k = step(t, k, lifecycle.Archive, 2, free(later))
	k = step(t, step(t, k, lifecycle.Archive, 3, free(later)), lifecycle.Retire, 3, free(later))
	k.Oldest = lifecycle.Oldest{Version: 4, Deactivated: start.Add(4 * day)}
	return k
}

func TestAgendaIsSortedByTime(t *testing.T) {
	at := func(days int) time.Time { return start.Add(time.Duration(days) * day) }
	require.Equal(t, []lifecycle.Pending{
		{At: at(5 + 2), Op: lifecycle.Promote, Version: 6},    // staging_time
		{At: at(4 + 60), Op: lifecycle.Archive, Version: 4},   // archive_after
		{At: at(100 + 30), Op: lifecycle.Destroy, Version: 3}, // destroy_delay when it was retired
		{At: at(100 + 50), Op: lifecycle.Archive, Version: 1}, // recovered until
		{At: at(100 + 90), Op: lifecycle.Retire, Version: 2},  // retire_after
		{At: at(4 + 400), Op: lifecycle.Lapse, Version: 5},    // originator_period
	}, lifecycle.AllPendingTransitions(busy(t), clockPolicy(t, policy.Manual)))
}

func TestAgendaWithoutAPolicyHasOnlyTimesThatWereSet(t *testing.T) {
	require.Equal(t, []lifecycle.Pending{
		{At: later.Add(30 * day), Op: lifecycle.Destroy, Version: 3},
		{At: later.Add(50 * day), Op: lifecycle.Archive, Version: 1},
	}, lifecycle.AllPendingTransitions(busy(t), nil))
	require.Empty(t, lifecycle.AllPendingTransitions(newKey(t, 5), nil))
}

func TestHoldTakesRetiringAndDestroyingOffTheAgenda(t *testing.T) {
	p := clockPolicy(t, policy.Manual)
	var left []lifecycle.Op
	for _, e := range lifecycle.AllPendingTransitions(busy(t).WithHold(true), p) {
		left = append(left, e.Op)
	}
	require.Equal(t, []lifecycle.Op{lifecycle.Promote, lifecycle.Archive, lifecycle.Archive, lifecycle.Lapse}, left)
	require.Empty(t, lifecycle.AllPendingTransitions(inKeyState(t, lifecycle.KeyRetired).WithHold(true), p))
}

func TestAgendaOfAWholeKey(t *testing.T) {
	p := clockPolicy(t, policy.Manual)
	k := busy(t)
	require.Equal(t, lifecycle.AllPendingTransitions(k, p), lifecycle.AllPendingTransitions(moved(t, k, lifecycle.KeySuspended), p))
	require.Equal(t, []lifecycle.Pending{{At: later.Add(30 * day), Op: lifecycle.Destroy, Version: 3}},
		lifecycle.AllPendingTransitions(moved(t, k, lifecycle.KeyArchived), p), "what was retired before")
	require.Empty(t, lifecycle.AllPendingTransitions(moved(t, k, lifecycle.KeyArchived).WithHold(true), p))
	require.Empty(t, lifecycle.AllPendingTransitions(moved(t, k, lifecycle.KeyDestroyed), p))
	retired := moved(t, k, lifecycle.KeyRetired)
	require.Equal(t, []lifecycle.Pending{{At: retired.Status.Until(), Op: lifecycle.Destroy}}, lifecycle.AllPendingTransitions(retired, p))
}

func TestOnlyAPolicyThatDoesNotRotateLetsAVersionLapse(t *testing.T) {
	for mode, lapses := range map[policy.RotationMode]bool{policy.Auto: false, policy.Manual: true, policy.Notify: true} {
		pending := lifecycle.AllPendingTransitions(newKey(t, 5), clockPolicy(t, mode))
		has := slices.ContainsFunc(pending, func(e lifecycle.Pending) bool { return e.Op == lifecycle.Lapse })
		require.Equal(t, lapses, has, mode)
	}
	k := steps(t, newKey(t, 5), 5, lifecycle.Suspend)
	require.Empty(t, lifecycle.AllPendingTransitions(k, clockPolicy(t, policy.Manual)), "it protects nothing now")
}

func TestAgendaKeepsReadableVersionsAndThoseBelowTheFloor(t *testing.T) {
	p := clockPolicy(t, policy.Auto)
	k := busy(t)
	p.MinVersionsKept = 2 // 4, 5
	for _, e := range lifecycle.AllPendingTransitions(k, p) {
		require.Equal(t, e.Op == lifecycle.Archive, e.Version == 1, "version %d: a time limit is held whatever is kept", e.Version)
	}
	p.MinVersionsKept = 1
	k, _, err := k.Configure(lifecycle.ConfigChange{MinDecryption: ptr(5)})
	require.NoError(t, err)
	for _, e := range lifecycle.AllPendingTransitions(k, p) {
		require.NotEqual(t, lifecycle.Archive, e.Op, "version %d is archived by the floor", e.Version)
	}
}

func TestRetirementWaitsForTheQuietPeriodAndForWhatPutItOff(t *testing.T) {
	p := clockPolicy(t, policy.Auto)
	p.RetireAfter = span(t, "3d") // shorter than the quiet period of a week
	k := step(t, newKey(t, 5), lifecycle.Archive, 2, free(later))
	require.Equal(t, []lifecycle.Pending{{At: later.Add(7 * day), Op: lifecycle.Retire, Version: 2}}, lifecycle.AllPendingTransitions(k, p))

	put := k.PutOff(2, later.Add(20*day)).PutOff(2, later.Add(10*day)).PutOff(3, later.Add(90*day))
	require.Equal(t, []lifecycle.Pending{{At: later.Add(20 * day), Op: lifecycle.Retire, Version: 2}}, lifecycle.AllPendingTransitions(put, p))
	require.True(t, k.Overrides[2].Until().Before(later.Add(10*day)), "the snapshot before stays as it was")
	require.Equal(t, newKey(t, 5).Overrides, newKey(t, 5).PutOff(2, later).Overrides, "nothing to put off is no change")
}

func TestIrreversibleStepsAreThoseTheClockGuardHoldsBack(t *testing.T) {
	for _, op := range ops {
		want := op == lifecycle.Archive || op == lifecycle.Retire || op == lifecycle.Destroy
		require.Equal(t, want, lifecycle.Pending{Op: op}.Irreversible(), op)
	}
}

func TestOldestDeactivatedVersionIsTheNextToBeArchived(t *testing.T) {
	for name, row := range map[string]struct {
		key  lifecycle.Key
		want int
	}{
		"one version":           {newKey(t, 1), 0},
		"five":                  {newKey(t, 5), 1},
		"floor":                 {floored(t, 5, 3), 3},
		"all below the floor":   {floored(t, 5, 5), 0},
		"oldest archived":       {steps(t, newKey(t, 5), 1, lifecycle.Archive), 2},
		"oldest suspended":      {steps(t, newKey(t, 5), 1, lifecycle.Suspend), 2},
		"recovered for a time":  {busy(t), 4},
		"recovered for good":    {steps(t, newKey(t, 5), 1, lifecycle.Archive, lifecycle.Recover), 1},
		"lapsed and alone":      {steps(t, newKey(t, 1), 1, lifecycle.Lapse), 1},
		"oldest of them erased": {steps(t, newKey(t, 5), 1, lifecycle.Archive, lifecycle.Retire, lifecycle.Destroy), 2},
	} {
		require.Equal(t, row.want, lifecycle.OldestDeactivated(row.key), name)
	}
}
