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

func TestUndoBringsBackTheStateBefore(t *testing.T) {
	undo := map[lifecycle.Op]lifecycle.Op{
		lifecycle.Suspend: lifecycle.Resume, lifecycle.Archive: lifecycle.Recover, lifecycle.Recover: lifecycle.Archive,
		lifecycle.Retire: lifecycle.Restore,
	}
	done := map[lifecycle.Op]int{}
	for _, h := range histories() {
		for op, back := range undo {
			k := h.key(t)
			next, _, err := k.Apply(op, h.version, free(later.Add(day)))
			// What the floor archives, the floor recovers; what a report locked, nothing locks again.
			if err != nil || h.name == "archived by the floor" || h.state == lifecycle.Compromised && op == lifecycle.Recover {
				continue
			}
			done[op]++
			again := step(t, next, back, h.version, free(later.Add(2*day)))
			require.Equal(t, h.state, again.State(h.version), "%s of %s", op, h.name)
			require.Equal(t, k.Primary, again.Primary)
			require.Equal(t, k.Staged, again.Staged)
			require.Equal(t, answers(k, "process", h.version), answers(again, "process", h.version), "%s of %s", op, h.name)
			require.Equal(t, answers(k, "protect", h.version), answers(again, "protect", h.version), "%s of %s", op, h.name)
		}
	}
	require.Equal(t, map[lifecycle.Op]int{lifecycle.Suspend: 3, lifecycle.Archive: 1, lifecycle.Recover: 1, lifecycle.Retire: 8}, done)
}

func TestUndoOfAWholeKey(t *testing.T) {
	k := staged(t, 5)
	k = steps(t, steps(t, k, 1, lifecycle.ReportCompromise), 2, lifecycle.Suspend)
	for _, pair := range [][2]lifecycle.Op{{lifecycle.Suspend, lifecycle.Resume}, {lifecycle.Archive, lifecycle.Recover}} {
		next, _, err := k.Apply(pair[0], 0, free(later))
		require.NoError(t, err)
		next, _, err = next.Apply(pair[1], 0, free(later.Add(day)))
		require.NoError(t, err)
		for v := range 7 {
			require.Equal(t, k.State(v), next.State(v))
		}
	}
	archived := moved(t, k, lifecycle.KeyArchived)
	retired := moved(t, k, lifecycle.KeyRetired)
	restored, _, err := retired.Apply(lifecycle.Restore, 0, free(later.Add(2*day)))
	require.NoError(t, err)
	for v := range 7 {
		require.Equal(t, archived.State(v), restored.State(v))
	}
}

func TestRecoveringAKeyLiftsNoSuspension(t *testing.T) {
	for _, way := range [][]lifecycle.Op{
		{lifecycle.Archive, lifecycle.Recover}, {lifecycle.Archive, lifecycle.Retire, lifecycle.Restore, lifecycle.Recover},
	} {
		k := inKeyState(t, lifecycle.KeySuspended)
		for i, op := range way {
			next, _, err := k.Apply(op, 0, free(later.Add(time.Duration(i+2)*time.Hour)))
			require.NoError(t, err)
			k = next
		}
		require.Equal(t, lifecycle.KeySuspended, k.Status.State)
		k, did, err := k.Apply(lifecycle.Resume, 0, free(later.Add(day)))
		require.NoError(t, err)
		require.Equal(t, "enabled", did.To)
		k = moved(t, k, lifecycle.KeyArchived)
		k, _, err = k.Apply(lifecycle.Recover, 0, free(later.Add(2*day)))
		require.NoError(t, err)
		require.Equal(t, lifecycle.Enabled, k.Status.State, "what was resumed stays so")
	}
}

func TestSuspendedVersionThatWasSupersededMeanwhileResumesAsDeactivated(t *testing.T) {
	k := rotated(t, steps(t, newKey(t, 5), 5, lifecycle.Suspend), lifecycle.ByOperator, "", 0, later.Add(day))
	require.Equal(t, 6, k.Primary)
	require.Equal(t, lifecycle.Suspended, k.State(5))
	k = step(t, k, lifecycle.Resume, 5, free(later.Add(2*day)))
	require.Equal(t, lifecycle.Deactivated, k.State(5))
	require.Equal(t, lifecycle.Active, k.State(6))
}

func TestVersionRecoveredForATimeIsArchivedAgainAlsoWhenItWasSuspended(t *testing.T) {
	o := free(later.Add(day))
	o.Until = later.Add(10 * day)
	k := step(t, steps(t, newKey(t, 5), 3, lifecycle.Archive), lifecycle.Recover, 3, o)
	want := []lifecycle.Pending{{At: o.Until, Op: lifecycle.Archive, Version: 3}}
	require.Equal(t, want, lifecycle.AllPendingTransitions(k, nil))
	k = step(t, k, lifecycle.Suspend, 3, free(later.Add(2*day)))
	k = step(t, k, lifecycle.Resume, 3, free(later.Add(3*day)))
	require.Equal(t, want, lifecycle.AllPendingTransitions(k, nil))
}

func TestOldVersionIsRotatedBackToWithinTheWindow(t *testing.T) {
	k := newKey(t, 5) // the fifth since four days after start
	promoted := start.Add(4 * day)
	o := lifecycle.Order{At: promoted.Add(12 * time.Hour), Rules: policy.EffectiveRules{RollbackWindow: 12 * time.Hour}}
	back, did, err := k.Apply(lifecycle.Rollback, 0, o)
	require.NoError(t, err)
	require.Equal(t, lifecycle.Step{ID: "T3", Op: "rollback", Version: 4, From: "deactivated", To: "active"}, did)
	require.Equal(t, []lifecycle.State{lifecycle.Active, lifecycle.Deactivated}, []lifecycle.State{back.State(4), back.State(5)})
	require.Equal(t, 5, back.Latest, "numbers are never given again")
	require.Equal(t, 6, rotated(t, back, lifecycle.ByOperator, "", 0, later).Primary)

	o.At = o.At.Add(1)
	got, _, err := k.Apply(lifecycle.Rollback, 0, o)
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.ErrorContains(t, err, "rollback_window of 12h ended at 2026-03-06T00:00:00Z")
	require.Equal(t, k, got)
	o.Rules.RollbackWindow = policy.Unlimited
	_, _, err = k.Apply(lifecycle.Rollback, 0, o)
	require.NoError(t, err)
}

func TestWindowOfZeroAllowsNoRollback(t *testing.T) {
	k := newKey(t, 5)
	for _, at := range []time.Time{k.Rotation.Promoted, later} {
		got, _, err := k.Apply(lifecycle.Rollback, 0, lifecycle.Order{At: at})
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.EqualError(t, err, "rollback_window is 0: a promotion is not rolled back; rotate instead")
		require.Equal(t, k, got)
	}
}

func TestRollbackPassesOverWhatMustNotProtectAgain(t *testing.T) {
	for name, list := range map[string][]lifecycle.Op{
		"suspended": {lifecycle.Suspend}, "archived": {lifecycle.Archive}, "compromised": {lifecycle.ReportCompromise},
		"compromised, retired and restored": {lifecycle.ReportCompromise, lifecycle.Retire, lifecycle.Restore},
		"retired":                           {lifecycle.Archive, lifecycle.Retire},
		"destroyed":                         {lifecycle.Archive, lifecycle.Retire, lifecycle.Destroy},
	} {
		back, _, err := steps(t, newKey(t, 5), 4, list...).Apply(lifecycle.Rollback, 0, free(later.Add(2*day)))
		require.NoError(t, err, name)
		require.Equal(t, 3, back.Primary, name)
	}
	limited := free(later.Add(day))
	limited.Until = later.Add(3 * day)
	recovered := step(t, steps(t, newKey(t, 5), 4, lifecycle.Archive), lifecycle.Recover, 4, limited)
	back, _, err := recovered.Apply(lifecycle.Rollback, 0, free(later.Add(2*day)))
	require.NoError(t, err)
	require.Equal(t, 3, back.Primary, "4 was recovered only for a time")
	require.Equal(t, recovered.Overrides[4], back.Overrides[4])
	lapsed := rotated(t, steps(t, newKey(t, 5), 5, lifecycle.Lapse), lifecycle.ByOperator, "", 0, later.Add(day))
	for name, list := range map[string][]lifecycle.Op{
		"lapsed": nil, "suspended meanwhile": {lifecycle.Suspend, lifecycle.Resume}, "archived meanwhile": {lifecycle.Archive, lifecycle.Recover},
		"retired meanwhile": {lifecycle.Archive, lifecycle.Retire, lifecycle.Restore, lifecycle.Recover},
	} {
		back, _, err := steps(t, lapsed, 5, list...).Apply(lifecycle.Rollback, 0, free(later.Add(2*day)))
		require.NoError(t, err)
		require.Equal(t, 4, back.Primary, "%s: it is past its originator-usage period", name)
	}
}

func TestRollbackLeadsToTheVersionThatWasActiveBefore(t *testing.T) {
	back := func(k lifecycle.Key) lifecycle.Key {
		next, _, err := k.Apply(lifecycle.Rollback, 0, free(later.Add(5*day)))
		require.NoError(t, err)
		return next
	}
	bad := back(newKey(t, 3))
	require.Equal(t, 2, bad.Primary)
	again := rotated(t, bad, lifecycle.ByOperator, "", 0, later)
	require.Equal(t, 2, back(again).Primary, "3 was rolled back from")
	require.Equal(t, 1, back(back(again)).Primary)
	require.Equal(t, 2, back(rotated(t, back(again), lifecycle.ByOperator, "", 0, later)).Primary, "3 and 4 were")

	k := rotated(t, steps(t, staged(t, 5), 6, lifecycle.Retire), lifecycle.ByOperator, "", 0, later.Add(day))
	k = step(t, step(t, k, lifecycle.Restore, 6, free(later.Add(2*day))), lifecycle.Promote, 6, free(later.Add(3*day)))
	require.Equal(t, 7, back(k).Primary, "it was active before, though it was made after")
	require.Equal(t, 5, back(back(k)).Primary)
}

func TestRollbackOfARecordThatRemembersNoAncestorsGoesByNumbers(t *testing.T) {
	old := newKey(t, 5)
	old.Predecessors = nil
	next, _, err := old.Apply(lifecycle.Rollback, 0, free(later))
	require.NoError(t, err)
	require.Equal(t, 4, next.Primary)
	require.Empty(t, next.Predecessors)
	next, _, err = rotated(t, next, lifecycle.ByOperator, "", 0, later).Apply(lifecycle.Rollback, 0, free(later))
	require.NoError(t, err)
	require.Equal(t, 4, next.Primary, "5 was rolled back from")
}

func TestKeyRemembersABoundedNumberOfAncestors(t *testing.T) {
	k := newKey(t, 100)
	require.Len(t, k.Predecessors, 8)
	require.Equal(t, lifecycle.Predecessor{Version: 99, Since: start.Add(98 * day)}, k.Predecessors[7])
	for v := 99; v > 80; v-- {
		var err error
		k, _, err = k.Apply(lifecycle.Rollback, 0, free(later))
		require.NoError(t, err)
		require.Equal(t, v, k.Primary, "below, numbers tell")
	}
}

// TestARollbackDoesNotOpenTheWindowAnew is how to come to a version of long ago otherwise.
func TestARollbackDoesNotOpenTheWindowAnew(t *testing.T) {
	k := rotated(t, newKey(t, 3), lifecycle.ByOperator, "", 0, later)
	old := k
	old.Predecessors = nil
	for _, k := range []lifecycle.Key{k, old} {
		o := lifecycle.Order{At: later.Add(time.Minute), Rules: policy.EffectiveRules{RollbackWindow: time.Hour}}
		back, _, err := k.Apply(lifecycle.Rollback, 0, o)
		require.NoError(t, err)
		require.Equal(t, start.Add(2*day), back.Rotation.Promoted)
		_, _, err = back.Apply(lifecycle.Rollback, 0, o)
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.EqualError(t, err, "rollback_window of 1h ended at 2026-03-03T13:00:00Z")
	}
}

func TestAVersionDatedByAClockThatWasAheadIsDatedAnewByARollback(t *testing.T) {
	k := rotated(t, newKey(t, 3), lifecycle.ByOperator, "", 0, later.Add(1000*day))
	k = rotated(t, k, lifecycle.ByClock, "", 0, later)
	back, _, err := k.Apply(lifecycle.Rollback, 0, free(later.Add(time.Hour)))
	require.NoError(t, err)
	require.Equal(t, later.Add(time.Hour), back.Rotation.Promoted)
}

func TestAKeyOfWhichThePageOfDatesIsFullKnowsItsWindowAllTheSame(t *testing.T) {
	k := rotated(t, newKey(t, 3), lifecycle.ByOperator, "", 0, later)
	k.Recent = nil // the store keeps them
	o := lifecycle.Order{At: later.Add(time.Minute), Rules: policy.EffectiveRules{RollbackWindow: time.Hour}}
	back, _, err := k.Apply(lifecycle.Rollback, 0, o)
	require.NoError(t, err)
	_, _, err = back.Apply(lifecycle.Rollback, 0, o)
	require.ErrorContains(t, err, "rollback_window of 1h ended at 2026-03-03T13:00:00Z")
}

func TestRollbackNeedsTwoVersionsInWorkingOrder(t *testing.T) {
	for text, k := range map[string]lifecycle.Key{
		"no deactivated version before version 1": newKey(t, 1),
		"no deactivated version before version 5": floored(t, 5, 5),
		"no active version to roll back from":     steps(t, newKey(t, 5), 5, lifecycle.ReportCompromise),
		"no active version to roll":               steps(t, newKey(t, 5), 5, lifecycle.Lapse),
		"rollback needs enabled":                  inKeyState(t, lifecycle.KeySuspended),
	} {
		got, _, err := k.Apply(lifecycle.Rollback, 0, free(later))
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.ErrorContains(t, err, text)
		require.Equal(t, k, got)
	}
}

func TestNewVersionIsStagedAndThenPromoted(t *testing.T) {
	k := newKey(t, 5)
	at := later.Add(day)
	next, err := k.Stage(lifecycle.BySchedule, "why", k.Rotation.Base.Add(10*day), later)
	require.NoError(t, err)
	require.Equal(t, []int{6, 6, 5}, []int{next.Latest, next.Staged, next.Primary})
	require.Equal(t, k.Rotation.Promoted, next.Rotation.Promoted)
	require.Equal(t, lifecycle.PreActive, next.State(6))

	for _, grow := range []func(lifecycle.Key) error{
		func(k lifecycle.Key) error { _, err := k.Stage(lifecycle.ByOperator, "", time.Time{}, at); return err },
		func(k lifecycle.Key) error {
			_, err := k.Rotate(lifecycle.ByOperator, "", time.Time{}, at)
			return err
		},
	} {
		err := grow(next)
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.EqualError(t, err, `version 6 of key "orders" is staged: promote or retire it first`)
		for _, s := range keyStates[1:] {
			require.ErrorContains(t, grow(inKeyState(t, s)), "it gets no new versions")
		}
	}
	promoted := step(t, next, lifecycle.Promote, 6, free(at))
	require.Equal(t, []int{6, 0, 6}, []int{promoted.Latest, promoted.Staged, promoted.Primary})
	require.Equal(t, at, promoted.Rotation.Promoted)
	require.Empty(t, promoted.Overrides, "however often a key is rotated, its record stays small")
	require.Equal(t, at, promoted.Recent[5], "the version before is superseded when its successor is promoted")
	require.Equal(t, later, next.Recent[5], "the snapshot before stays as it was")

	back, _, err := promoted.Apply(lifecycle.Rollback, 0, free(at.Add(time.Hour)))
	require.NoError(t, err)
	again := rotated(t, back, lifecycle.ByOperator, "", 0, at.Add(2*time.Hour))
	require.Equal(t, lifecycle.StateOverride{State: lifecycle.Deactivated, At: at.Add(time.Hour)}, again.Overrides[6])
	require.Equal(t, lifecycle.StateOverride{State: lifecycle.Deactivated, At: at.Add(2 * time.Hour)}, again.Overrides[5], "no successor's date tells when")
}
