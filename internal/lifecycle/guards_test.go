// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// refused holds that the operation is refused with the text and leaves the key as it was.
func refused(t *testing.T, k lifecycle.Key, op lifecycle.Op, v int, o lifecycle.Order, text string) {
	t.Helper()
	before := copied(k)
	got, _, err := k.Apply(op, v, o)
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.ErrorContains(t, err, text)
	require.Equal(t, before, got)
}

func TestLegalHoldBlocksRetiringDestroyingDeletingAndTrimming(t *testing.T) {
	const hold = `key "orders" is under legal hold`
	held := func(k lifecycle.Key) lifecycle.Key { return k.WithHold(true) }
	for v, k := range map[int]lifecycle.Key{
		3: steps(t, newKey(t, 5), 3, lifecycle.Archive),
		2: steps(t, newKey(t, 5), 2, lifecycle.ReportCompromise),
		6: staged(t, 5),
	} {
		refused(t, held(k), lifecycle.Retire, v, free(later.Add(day)), hold)
		step(t, held(k).WithHold(false), lifecycle.Retire, v, free(later.Add(day)))
	}
	k := steps(t, newKey(t, 5), 3, lifecycle.Archive, lifecycle.Retire)
	refused(t, held(k), lifecycle.Destroy, 3, free(later.Add(1000*day)), hold)
	step(t, held(k), lifecycle.Restore, 3, free(later.Add(day)))

	for s, op := range map[lifecycle.KeyState]lifecycle.Op{lifecycle.KeyArchived: lifecycle.Retire, lifecycle.KeyRetired: lifecycle.Destroy} {
		_, _, err := held(inKeyState(t, s)).Apply(op, 0, free(later.Add(1000*day)))
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.EqualError(t, err, hold)
	}
	k = floored(t, 5, 3)
	k.DeletionAllowed = true
	require.NoError(t, k.CheckDelete())
	require.EqualError(t, held(k).CheckDelete(), hold)
	_, err := held(k).Trim(2)
	require.EqualError(t, err, hold)
}

func TestHoldThatIsSetAgainIsNoChange(t *testing.T) {
	k := newKey(t, 1)
	require.Equal(t, k, k.WithHold(false))
	held := k.WithHold(true)
	require.True(t, held.Hold)
	require.Equal(t, k.Revision+1, held.Revision)
	require.Equal(t, held, held.WithHold(true))
}

func TestQuietPeriodWithoutDeniedUsesPassesBeforeAVersionIsRetired(t *testing.T) {
	o := func(at, denied time.Time, quiet time.Duration) lifecycle.Order {
		return lifecycle.Order{At: at, LastDenied: denied, Rules: policy.EffectiveRules{QuietPeriod: quiet, DestroyDelay: day}}
	}
	for _, op := range []lifecycle.Op{lifecycle.Archive, lifecycle.ReportCompromise} {
		k := step(t, newKey(t, 5), op, 3, o(later, time.Time{}, 14*day))
		refused(t, k, lifecycle.Retire, 3, o(later.Add(14*day-1), time.Time{}, 14*day), "quiet_period is 14d")
		step(t, k, lifecycle.Retire, 3, o(later.Add(14*day), time.Time{}, 14*day))
		refused(t, k, lifecycle.Retire, 3, o(later.Add(23*day), later.Add(10*day), 14*day), "is over at 2026-07-03T12:00:00Z")
		step(t, k, lifecycle.Retire, 3, o(later.Add(24*day), later.Add(10*day), 14*day))
	}
	k := step(t, newKey(t, 5), lifecycle.Archive, 3, o(later, time.Time{}, 14*day))
	refused(t, k, lifecycle.Retire, 3, o(later.Add(2*day), time.Time{}, day), "is over at") // a looser revision
	step(t, staged(t, 5), lifecycle.Retire, 6, o(later, later, 14*day))                     // was never in use
}

func TestQuietPeriodThatBeganWithARestoreIsNotShortened(t *testing.T) {
	quiet := policy.EffectiveRules{QuietPeriod: 14 * day, DestroyDelay: day}
	o := lifecycle.Order{At: later, Rules: quiet}
	for _, op := range []lifecycle.Op{lifecycle.Archive, lifecycle.ReportCompromise} {
		k := step(t, newKey(t, 5), op, 3, o)
		require.Equal(t, later.Add(14*day), k.Overrides[3].Until(), op)
		retired := step(t, k, lifecycle.Retire, 3, lifecycle.Order{At: later.Add(20 * day), Rules: quiet})
		restored := step(t, retired, lifecycle.Restore, 3, lifecycle.Order{At: later.Add(20*day + time.Hour), Rules: quiet})
		for _, row := range []struct {
			k    lifecycle.Key
			ends time.Time
		}{{k, later.Add(14 * day)}, {restored, later.Add(34*day + time.Hour)}} {
			loose := lifecycle.Order{At: row.ends.Add(-1)}
			refused(t, row.k, lifecycle.Retire, 3, loose, "is over at "+row.ends.Format(time.RFC3339))
			loose.At = row.ends
			step(t, row.k, lifecycle.Retire, 3, loose)
		}
	}
}

func TestQuietPeriodThatBeganWithTheRestoreOfAKeyIsNotShortened(t *testing.T) {
	at := later.Add(day)
	k, _, err := inKeyState(t, lifecycle.KeyRetired).Apply(lifecycle.Restore, 0,
		lifecycle.Order{At: at, Rules: policy.EffectiveRules{QuietPeriod: 14 * day}})
	require.NoError(t, err)
	for when, ok := range map[time.Time]bool{at.Add(14*day - 1): false, at.Add(14 * day): true} {
		_, _, err := k.Apply(lifecycle.Retire, 0, lifecycle.Order{At: when})
		require.Equal(t, ok, err == nil, when)
	}
}

func TestTrimmingLeavesNoMarksButReports(t *testing.T) {
	k := steps(t, steps(t, newKey(t, 5), 1, lifecycle.Archive), 2, lifecycle.ReportCompromise)
	k = steps(t, k, 3, lifecycle.Suspend)
	k, _, err := k.Configure(lifecycle.ConfigChange{MinDecryption: ptr(4), MinEncryption: ptr(4)})
	require.NoError(t, err)
	before := copied(k)
	trimmed, err := k.Trim(3)
	require.NoError(t, err)
	require.Equal(t, before, k, "the snapshot before stays as it was")
	require.Equal(t, lifecycle.Overrides{2: k.Overrides[2], 3: k.Overrides[3]}, trimmed.Overrides)
}

func TestQuietPeriodOfAWholeKey(t *testing.T) {
	rules := policy.EffectiveRules{QuietPeriod: 14 * day, DestroyDelay: day}
	k, _, err := newKey(t, 3).Apply(lifecycle.Archive, 0, lifecycle.Order{At: later, Rules: rules})
	require.NoError(t, err)
	for _, row := range []struct {
		at, denied time.Time
		quiet      time.Duration
		ok         bool
	}{
		{later.Add(14*day - 1), time.Time{}, 14 * day, false},
		{later.Add(14 * day), time.Time{}, 14 * day, true},
		{later.Add(20 * day), later.Add(10 * day), 14 * day, false},
		{later.Add(24 * day), later.Add(10 * day), 14 * day, true},
		{later.Add(2 * day), time.Time{}, day, false}, // a looser revision
	} {
		rules.QuietPeriod = row.quiet
		_, _, err := k.Apply(lifecycle.Retire, 0, lifecycle.Order{At: row.at, LastDenied: row.denied, Rules: rules})
		require.Equal(t, row.ok, err == nil, "%v", row)
	}
}

func TestNothingIsDestroyedEarly(t *testing.T) {
	for _, h := range histories() {
		if h.state != lifecycle.Retired {
			continue
		}
		k := h.key(t)
		until := k.Overrides[h.version].Until()
		o := free(until.Add(-1))
		o.Rules.DestroyDelay = 0 // a looser revision
		refused(t, k, lifecycle.Destroy, h.version, o, "destroy_time is "+until.Format(time.RFC3339))
		require.Equal(t, lifecycle.Destroyed, step(t, k, lifecycle.Destroy, h.version, free(until)).State(h.version))
	}
	k := inKeyState(t, lifecycle.KeyRetired)
	_, _, err := k.Apply(lifecycle.Destroy, 0, free(k.Status.Until().Add(-1)))
	require.ErrorIs(t, err, refusal.ErrRefused)
	k.Status = k.Status.WithUntil(time.Time{}) // as no key has it
	_, _, err = k.Apply(lifecycle.Destroy, 0, free(later))
	require.ErrorIs(t, err, refusal.ErrRefused)
}

func TestNothingIsRestoredPastItsDestroyTime(t *testing.T) {
	k := steps(t, newKey(t, 5), 3, lifecycle.Archive, lifecycle.Retire)
	until := k.Overrides[3].Until()
	step(t, k, lifecycle.Restore, 3, free(until.Add(-1)))
	refused(t, k, lifecycle.Restore, 3, free(until), "destroy_time was "+until.Format(time.RFC3339))
	step(t, k.WithHold(true), lifecycle.Restore, 3, free(until)) // it is not destroyed either

	k = inKeyState(t, lifecycle.KeyRetired)
	for at, ok := range map[time.Time]bool{k.Status.Until().Add(-1): true, k.Status.Until(): false} {
		_, _, err := k.Apply(lifecycle.Restore, 0, free(at))
		require.Equal(t, ok, err == nil, at)
		_, _, err = k.WithHold(true).Apply(lifecycle.Restore, 0, free(at))
		require.NoError(t, err)
	}
}

func TestArchivingLeavesAsManyReadableVersionsAsThePolicySays(t *testing.T) {
	o := free(later)
	o.Rules.MinVersionsKept = 3
	k := newKey(t, 5)
	k = step(t, k, lifecycle.Archive, 1, o)
	k = step(t, k, lifecycle.Archive, 2, o)
	refused(t, k, lifecycle.Archive, 3, o, "version 3: min_versions_kept is 3 and the key has 3 readable versions")

	staged, err := k.Stage(lifecycle.BySchedule, "", later, later)
	require.NoError(t, err)
	refused(t, staged, lifecycle.Archive, 3, o, "has 3 readable versions") // nothing was encrypted with the staged one

	destroyed := steps(t, steps(t, newKey(t, 6), 1, lifecycle.ReportCompromise, lifecycle.Retire, lifecycle.Destroy), 2, lifecycle.Archive)
	destroyed = step(t, destroyed, lifecycle.Archive, 3, o) // of 3, 4, 5, 6
	refused(t, destroyed, lifecycle.Archive, 4, o, "has 3 readable versions")

	suspended := steps(t, newKey(t, 5), 4, lifecycle.Suspend) // reads nothing now
	suspended = step(t, suspended, lifecycle.Archive, 1, o)
	refused(t, suspended, lifecycle.Archive, 2, o, "has 3 readable versions")
}

func TestRaisingTheFloorFreesNoVersionToBeArchived(t *testing.T) {
	o := free(later)
	o.Rules.MinVersionsKept = 2
	k := step(t, newKey(t, 3), lifecycle.Archive, 1, o)
	refused(t, k, lifecycle.Archive, 2, o, "has 2 readable versions")
	k, _, err := k.Configure(lifecycle.ConfigChange{MinDecryption: ptr(3)})
	require.NoError(t, err)
	refused(t, k, lifecycle.Archive, 2, o, "version 2: min_versions_kept is 2 and the key has 2 readable versions")
	step(t, floored(t, 5, 5), lifecycle.Archive, 3, o) // 1, 2, 4 and 5 are left, once the floor is lowered
}

func TestATimeLimitIsHeldWhateverIsKept(t *testing.T) {
	o := free(later.Add(2 * day))
	o.Rules.MinVersionsKept, o.Until = 5, later.Add(3*day)
	k := step(t, steps(t, newKey(t, 5), 1, lifecycle.Archive), lifecycle.Recover, 1, o)
	require.Equal(t, []lifecycle.Pending{{At: o.Until, Op: lifecycle.Archive, Version: 1}}, lifecycle.AllPendingTransitions(k, nil))
	o.At = o.Until
	require.Equal(t, lifecycle.Archived, step(t, k, lifecycle.Archive, 1, o).State(1))
	require.Equal(t, lifecycle.Archived, resumed(t, k, 1, 3, o.Rules).State(1))

	o.Rules.MinVersionsKept = 4
	refused(t, k, lifecycle.Archive, 2, o, "has 4 readable versions") // the first is none for long
}

func TestVersionBelowTheFloorIsRecoveredByTheFloor(t *testing.T) {
	k := steps(t, newKey(t, 5), 2, lifecycle.Archive)
	k, _, err := k.Configure(lifecycle.ConfigChange{MinDecryption: ptr(4), MinEncryption: ptr(4)})
	require.NoError(t, err)
	for _, v := range []int{1, 2} {
		refused(t, k, lifecycle.Recover, v, free(later.Add(day)), "lower min_decryption_version, which is 4, on keys/orders/config")
	}
	k, _, err = k.Configure(lifecycle.ConfigChange{MinDecryption: ptr(1)})
	require.NoError(t, err)
	require.Equal(t, lifecycle.Deactivated, k.State(1))
	require.Equal(t, lifecycle.Deactivated, step(t, k, lifecycle.Recover, 2, free(later.Add(day))).State(2))
}

func TestVersionThatOnlyTheFloorArchivesIsNotRetiredWithoutAQuietPeriod(t *testing.T) {
	k := floored(t, 5, 3)
	o := free(later)
	o.Rules.QuietPeriod = 14 * day
	refused(t, k, lifecycle.Retire, 1, o, "archive it first")
	k = step(t, k, lifecycle.Archive, 1, o)
	refused(t, k, lifecycle.Retire, 1, o, "quiet_period")
	o.At = later.Add(14 * day)
	require.Equal(t, lifecycle.Retired, step(t, k, lifecycle.Retire, 1, o).State(1))
}

func TestStagedVersionIsNotRestoredNextToAnotherOrBelowTheFloor(t *testing.T) {
	k := steps(t, staged(t, 5), 6, lifecycle.Retire)
	next, err := k.Stage(lifecycle.ByOperator, "", time.Time{}, later)
	require.NoError(t, err)
	refused(t, next, lifecycle.Restore, 6, free(later.Add(day)), "version 6 was staged, and version 7 is now")

	next = rotated(t, k, lifecycle.ByOperator, "", 0, later)
	next, _, err = next.Configure(lifecycle.ConfigChange{MinDecryption: ptr(7)})
	require.NoError(t, err)
	refused(t, next, lifecycle.Restore, 6, free(later.Add(day)), "below min_decryption_version, which is 7")
}

func TestReportIsNeverCleared(t *testing.T) {
	o := lifecycle.Order{At: later, Code: "key compromise", Occurred: start, Rules: policy.EffectiveRules{DestroyDelay: day}}
	want := lifecycle.Compromise{Code: "key compromise", Occurred: start, Reported: later}
	k := step(t, newKey(t, 3), lifecycle.ReportCompromise, 1, o)
	require.Equal(t, want, k.Overrides[1].Compromise)
	for _, op := range []lifecycle.Op{lifecycle.Retire, lifecycle.Restore, lifecycle.Retire, lifecycle.Destroy} {
		o.At = o.At.Add(map[bool]time.Duration{true: time.Hour, false: 2 * day}[op == lifecycle.Restore])
		k = step(t, k, op, 1, o)
		require.Equal(t, want, k.Overrides[1].Compromise, op)
	}
}

func TestACompromisedActiveVersionIsReplacedWhateverBecameOfIt(t *testing.T) {
	k := moved(t, newKey(t, 5), lifecycle.KeySuspended)
	list := []lifecycle.Op{lifecycle.ReportCompromise, lifecycle.Retire, lifecycle.Destroy}
	for n := 1; n <= len(list); n++ {
		k := steps(t, k, 5, list[:n]...)
		require.False(t, k.NeedsSuccessor(), "nothing is made for a suspended key")
		k, _, err := k.Apply(lifecycle.Resume, 0, free(later.Add(100*day)))
		require.NoError(t, err)
		require.True(t, k.NeedsSuccessor(), list[n-1])
		k = rotated(t, k, lifecycle.ByIncident, "", 0, later.Add(100*day))
		require.False(t, k.NeedsSuccessor())
		require.Equal(t, lifecycle.Active, k.State(6))
	}
	require.False(t, steps(t, newKey(t, 5), 5, lifecycle.Suspend).NeedsSuccessor())
}

func TestAVersionIsReportedOnce(t *testing.T) {
	o := lifecycle.Order{At: later, Code: "key compromise", Occurred: start, Rules: policy.EffectiveRules{DestroyDelay: day}}
	k := step(t, newKey(t, 3), lifecycle.ReportCompromise, 1, o)
	again := lifecycle.Order{At: later.Add(time.Hour), Code: "unspecified"}
	refused(t, k, lifecycle.ReportCompromise, 1, again, "version 1 is compromised: compromise needs")
	retired := step(t, k, lifecycle.Retire, 1, o)
	refused(t, retired, lifecycle.ReportCompromise, 1, again, "version 1 is retired and was reported as compromised at 2026-06-09T12:00:00Z")

	first := steps(t, newKey(t, 3), 2, lifecycle.Archive, lifecycle.Retire, lifecycle.ReportCompromise)
	require.Equal(t, lifecycle.Compromised, first.State(2), "a first report stops the destruction of what it names")
}

func TestFloorDoesNotRiseAboveAVersionThatIsActiveOrStaged(t *testing.T) {
	k := rotated(t, steps(t, staged(t, 5), 6, lifecycle.Retire), lifecycle.ByOperator, "", 0, later.Add(day))
	k = step(t, k, lifecycle.Restore, 6, free(later.Add(2*day))) // 7 is active
	_, _, err := k.Configure(lifecycle.ConfigChange{MinDecryption: ptr(7)})
	require.ErrorIs(t, err, refusal.ErrInvalid)
	require.ErrorContains(t, err, "min_decryption_version: 7: must not be above the active and the staged version, of which one is 6")
	back, _, err := newKey(t, 5).Apply(lifecycle.Rollback, 0, free(later))
	require.NoError(t, err)
	_, _, err = back.Configure(lifecycle.ConfigChange{MinDecryption: ptr(5)})
	require.ErrorContains(t, err, "of which one is 4")
}

func TestFloorDeniesWhateverThePolicyAllows(t *testing.T) {
	all := policy.EffectiveRules{PinnedEncrypt: true, SuspendedProcessing: true, CompromisedProcessing: true}
	for _, op := range []lifecycle.Op{lifecycle.Suspend, lifecycle.ReportCompromise} {
		k := steps(t, newKey(t, 5), 2, op)
		require.NoError(t, k.Permissions(all).ToProcess(2))
		k, _, err := k.Configure(lifecycle.ConfigChange{MinDecryption: ptr(3)})
		require.NoError(t, err)
		require.ErrorIs(t, k.Permissions(all).ToProcess(2), refusal.ErrDenied)
		require.ErrorIs(t, k.Permissions(all).ToRewrap(2), refusal.ErrDenied)
	}
}

func TestVersionsDestroyedFromTheOldestOnNeedNoMarks(t *testing.T) {
	k := newKey(t, 5)
	for _, v := range []int{2, 1} {
		k = steps(t, k, v, lifecycle.Archive, lifecycle.Retire, lifecycle.Destroy)
	}
	require.Empty(t, k.Overrides)
	require.Equal(t, 3, k.DestroyedBelow)
	require.Equal(t, lifecycle.Deactivated, k.State(3))
}
