// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

// sundays is a policy whose window opens for four hours at 2 o'clock on Sundays, in UTC; start is a Sunday at noon.
func sundays(t testing.TB, edits ...func(doc)) *policy.Policy {
	t.Helper()
	return policyOf(t, append([]func(doc){func(d doc) {
		d.RotationPeriod, d.RotationJitter = span(t, "10d"), jitter(t, "0")
		d.RotationWindow, d.RotationWindowLength = "0 2 * * 0", span(t, "4h")
	}}, edits...)...)
}

// at is a moment of the March in which keys are made.
func at(d, hour, minute int) time.Time { return time.Date(2026, 3, d, hour, minute, 0, 0, time.UTC) }

func TestScheduledRotationWaitsForTheWindow(t *testing.T) {
	k := newKey(t, 1)
	got := lifecycle.Plan(k, sundays(t), start)
	require.Equal(t, at(15, 2, 0), got.Next, "the slot is on the 11th")
	require.Equal(t, got.Next, got.Wake)
	require.Equal(t, lifecycle.Scheduled, lifecycle.Plan(k, sundays(t), at(15, 1, 59)).Status)

	due := lifecycle.Plan(k, sundays(t), at(15, 5, 59))
	require.True(t, due.ToRotate())
	require.Equal(t, at(11, 12, 0), due.Slot, "the schedule does not drift to the windows")

	inside := sundays(t, func(d doc) { d.RotationPeriod = span(t, "7d14h30m") })
	require.Equal(t, at(9, 2, 30), lifecycle.Plan(k, sundays(t, func(d doc) {
		d.RotationPeriod, d.RotationWindow = span(t, "7d14h30m"), "0 2 * * 1"
	}), start).Next, "the window is open at the slot")
	require.Equal(t, at(15, 2, 0), lifecycle.Plan(k, inside, start).Next)
}

func TestMissedWindowIsWaitedForAgain(t *testing.T) {
	k, p := newKey(t, 1), sundays(t)
	got := lifecycle.Plan(k, p, at(15, 6, 0))
	require.Equal(t, lifecycle.Scheduled, got.Status)
	require.Equal(t, at(22, 2, 0), got.Next)
	require.Equal(t, got.Next, got.Wake)
	require.Equal(t, "due since 2026-03-15T02:00:00Z, and waits for rotation_window until 2026-03-22T02:00:00Z", got.Why)
	require.True(t, lifecycle.Plan(k, p, at(22, 2, 0)).ToRotate())

	for _, mode := range []policy.RotationMode{policy.Manual, policy.Notify} {
		got = lifecycle.Plan(k, sundays(t, func(d doc) { d.RotationMode = mode }), at(15, 6, 0))
		require.Equal(t, lifecycle.Overdue, got.Status, "an operator is bound to no window")
		require.Equal(t, at(15, 2, 0), got.Alerts()[0].Since)
	}
	failed := k.Failed("token removed", p, at(15, 5, 59))
	got = lifecycle.Plan(failed, p, at(15, 6, 30))
	require.Equal(t, lifecycle.Retrying, got.Status, "it goes on to alert while it waits")
	require.Equal(t, at(22, 2, 0), got.Wake)
}

// TestKeysThatMissedAWindowAreSpreadInTheNext is also about what is asked while that window is open: the plan must not
// fetch the keys before their time.
func TestKeysThatMissedAWindowAreSpreadInTheNext(t *testing.T) {
	p := sundays(t, func(d doc) { d.RotationJitter = jitter(t, "25%") })
	seen := map[time.Time]bool{}
	for i := range 100 {
		k := newKey(t, 1)
		k.ID = fmt.Sprint(i)
		next := lifecycle.Plan(k, p, at(30, 12, 0)).Next // missed all of March
		seen[next] = true
		require.False(t, next.Before(time.Date(2026, 4, 5, 2, 0, 0, 0, time.UTC)))
		require.False(t, next.After(time.Date(2026, 4, 5, 4, 0, 0, 0, time.UTC)), "in the first half")
		require.Equal(t, next, lifecycle.Plan(k, p, next.Add(-1)).Wake)
		require.False(t, lifecycle.Plan(k, p, next.Add(-1)).ToRotate())
		require.True(t, lifecycle.Plan(k, p, next).ToRotate())
	}
	require.Greater(t, len(seen), 90)
}

func TestNothingIsPlannedForTheLastMinutesOfAWindow(t *testing.T) {
	for period, want := range map[string]time.Time{"6d17h54m59s": at(8, 5, 54).Add(59 * time.Second), "6d17h55m": at(15, 2, 0), "6d17h59m59s": at(15, 2, 0)} {
		p := sundays(t, func(d doc) { d.RotationPeriod = span(t, period) })
		require.Equal(t, want, lifecycle.Plan(newKey(t, 1), p, start).Next, period)
	}
}

func TestWindowDoesNotHoldBackTheEndOfTheOriginatorPeriodNorALimit(t *testing.T) {
	p := sundays(t, func(d doc) { d.OriginatorPeriod = span(t, "20d") })
	k := newKey(t, 1)
	got := lifecycle.Plan(k, p, at(21, 11, 59)) // the windows of the 15th were missed; the next is on the 22nd
	require.Equal(t, lifecycle.Scheduled, got.Status)
	require.Equal(t, at(21, 12, 0), got.Wake)
	got = lifecycle.Plan(k, p, at(21, 12, 0))
	require.True(t, got.ToRotate())
	require.Equal(t, lifecycle.ByPeriod, got.Trigger)
	require.Zero(t, got.Slot)
	require.Equal(t, "originator_period of version 1 ends at 2026-03-21T12:00:00Z", got.Why)

	got = lifecycle.Plan(usedUp(k, p, at(3, 0, 0)), p, at(3, 0, 0))
	require.True(t, got.ToRotate())
	require.Equal(t, lifecycle.ByUsage, got.Trigger)
	require.Equal(t, "version 1 reached its usage limit", got.Why)
}

func TestScheduleIsATimetableInItsZone(t *testing.T) {
	p := policyOf(t, func(d doc) {
		d.RotationPeriod, d.RotationSchedule, d.RotationZone = span(t, "0"), "0 3 1 * *", "Europe/Berlin"
		d.RotationJitter = jitter(t, "0")
	})
	k := newKey(t, 1)
	got := lifecycle.Plan(k, p, start)
	require.Zero(t, got.Period)
	require.Equal(t, utc(t, "2026-04-01T01:00:00Z"), got.Next)
	got = lifecycle.Plan(k, p, utc(t, "2026-08-15T00:00:00Z"))
	require.True(t, got.ToRotate())
	require.Equal(t, utc(t, "2026-08-01T01:00:00Z"), got.Slot, "one rotation makes up for five")
	require.Equal(t, "rotation_schedule named 2026-04-01T01:00:00Z", got.Why)
	next, err := k.Rotate(got.Trigger, got.Why, got.Slot, utc(t, "2026-08-15T00:00:00Z"))
	require.NoError(t, err)
	require.Equal(t, utc(t, "2026-09-01T01:00:00Z"), lifecycle.Plan(next, p, utc(t, "2026-08-15T00:00:00Z")).Next)
}

func TestJitterInPercentIsOfTheGapThatFollows(t *testing.T) {
	p := policyOf(t, func(d doc) {
		d.RotationPeriod, d.RotationSchedule, d.RotationJitter = span(t, "0"), "0 0 1 2,3 *", jitter(t, "25%")
	})
	february, march := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	latest := map[time.Time]time.Duration{}
	for i := range 300 {
		k := newKey(t, 1)
		k.ID = fmt.Sprint(i)
		for _, slot := range []time.Time{february, march} {
			k.Rotation.Base, k.Rotation.Promoted = slot.Add(-time.Hour), slot.Add(-time.Hour)
			latest[slot] = max(latest[slot], lifecycle.Plan(k, p, slot.Add(-time.Hour)).Next.Sub(slot))
		}
	}
	require.InDelta(t, 7*day, latest[february], float64(12*time.Hour)) // until the 1st of March
	require.InDelta(t, 337*day/4, latest[march], float64(5*day))       // until the 1st of February
	require.LessOrEqual(t, latest[february], 7*day)
}

func TestPeriodEndsEarlyEnoughForASuccessorToBeStaged(t *testing.T) {
	p := policyOf(t, func(d doc) {
		d.RotationPeriod, d.RotationJitter, d.StagingTime, d.OriginatorPeriod = span(t, "0"), jitter(t, "0"), span(t, "5d"), span(t, "20d")
	})
	k := newKey(t, 1)
	got := lifecycle.Plan(k, p, at(16, 12, 0))
	require.True(t, got.ToRotate())
	require.Equal(t, lifecycle.ByPeriod, got.Trigger)
	k, err := k.Stage(got.Trigger, got.Why, got.Slot, at(16, 12, 0))
	require.NoError(t, err)

	for _, now := range []time.Time{at(16, 12, 0), at(21, 11, 59)} {
		got = lifecycle.Plan(k, p, now)
		require.Equal(t, lifecycle.Scheduled, got.Status, "its successor is on the way")
		require.Empty(t, got.Alerts())
	}
	require.Equal(t, []lifecycle.Pending{{At: at(21, 12, 0), Op: lifecycle.Promote, Version: 2}}, lifecycle.AllPendingTransitions(k, p))
	k = step(t, k, lifecycle.Promote, 2, free(at(21, 12, 0)))
	require.Equal(t, lifecycle.Scheduled, lifecycle.Plan(k, p, at(21, 12, 0)).Status)
}

func TestTypeThatThePolicyDeniesIsOverdueAndNoFailure(t *testing.T) {
	denied := policyOf(t, func(d doc) {
		d.RotationPeriod, d.RotationJitter = span(t, "10d"), jitter(t, "0")
		d.DenyAfter = map[keytype.Type]string{keytype.Default: "2026-03-11"}
	})
	k := newKey(t, 1)
	require.True(t, lifecycle.Plan(k, denied, at(11, 23, 59)).ToRotate(), "the day named is the last")
	got := lifecycle.Plan(k, denied, at(12, 0, 0))
	require.Equal(t, lifecycle.Overdue, got.Status)
	require.Zero(t, got.Wake)
	require.Equal(t, `due, but type: "aes256-gcm96": policy "pci" (revision 1) denies new versions of this type after 2026-03-11`, got.Why)
	require.Equal(t, lifecycle.Alerts{{Status: lifecycle.Overdue, Since: at(11, 12, 0)}}, got.Alerts())
}

func TestKeyIsStalledAfterItsCyclesAndGoesOnTrying(t *testing.T) {
	p := policyOf(t, func(d doc) {
		d.RotationPeriod, d.RotationJitter, d.RotationRetryCycles = span(t, "10d"), jitter(t, "0"), 3
		d.RotationRetryBase, d.RotationRetryMax = span(t, "10m"), span(t, "25m")
	})
	k, now := newKey(t, 1), at(11, 12, 0)
	for i, want := range []struct {
		wait   time.Duration
		status lifecycle.Status
	}{{10 * time.Minute, "retrying"}, {20 * time.Minute, "retrying"}, {25 * time.Minute, "stalled"}, {25 * time.Minute, "stalled"}} {
		require.True(t, lifecycle.Plan(k, p, now).ToRotate())
		k = k.Failed("token removed", p, now)
		got := lifecycle.Plan(k, p, now)
		require.Equal(t, want.status, got.Status)
		require.Equal(t, now.Add(want.wait), got.Wake)
		require.Equal(t, fmt.Sprintf("due, and the last of %d attempts failed: token removed", i+1), got.Why)
		require.Equal(t, lifecycle.Alerts{{Status: want.status, Since: at(11, 12, 0)}}, got.Alerts())
		now = got.Wake
		require.Equal(t, want.status, lifecycle.Plan(k, p, now).Alerts()[0].Status, "it alerts until an attempt succeeds")
	}
	back := now.Add(-30 * day) // the clock was far ahead when the attempts failed
	k.Rotation.Base = back.Add(-20 * day)
	require.True(t, lifecycle.Plan(k, p, back).ToRotate(), "a failure from the future is not waited for")
	k, err := k.Rotate(lifecycle.BySchedule, "", now, now)
	require.NoError(t, err)
	require.Empty(t, lifecycle.Plan(k, p, now).Alerts())
}

func TestStagedVersionIsPromotedInTheWindow(t *testing.T) {
	p := sundays(t, func(d doc) {
		d.RotationPeriod, d.StagingTime, d.OriginatorPeriod = span(t, "7d"), span(t, "1d"), span(t, "60d")
	})
	k, err := newKey(t, 1).Stage(lifecycle.BySchedule, "", at(8, 2, 0), at(8, 2, 0))
	require.NoError(t, err)
	promoted := func(k lifecycle.Key, p *policy.Policy, now time.Time) time.Time {
		for _, e := range lifecycle.PendingTransitions(k, p, now) {
			if e.Op == lifecycle.Promote {
				return e.At
			}
		}
		return time.Time{}
	}
	for now, want := range map[time.Time]time.Time{
		{}: at(15, 2, 0), at(15, 1, 0): at(15, 2, 0), at(15, 5, 0): at(15, 2, 0), at(15, 6, 0): at(22, 2, 0), at(22, 3, 0): at(15, 2, 0),
	} {
		require.Equal(t, want, promoted(k, p, now), "as of %s", now)
	}
	require.Equal(t, promoted(k, p, time.Time{}), lifecycle.AllPendingTransitions(k, p)[0].At)
	require.Equal(t, at(9, 0, 0), promoted(usedUp(k, p, at(9, 0, 0)), p, at(9, 0, 0)), "the active one may protect no longer")
	k.Rotation.Failures, k.Rotation.FailedAt, k.Rotation.RetryAt = 3, at(15, 3, 0), at(15, 4, 0)
	require.Equal(t, at(15, 4, 0), promoted(k, p, at(15, 3, 0)), "after a failed attempt, not before the pause is over")
	require.Equal(t, at(15, 2, 0), promoted(k, p, at(15, 2, 0)), "a failure from the future is not waited for")
	k.Rotation.Failures = 0
	by := p.StagingTime
	p.StagingTime = schedule.Span{Text: "0"}
	require.Equal(t, at(8, 2, 0), promoted(k, p, at(22, 3, 0)), "staged by the clock, promoted by the clock whatever the policy says now")
	require.Zero(t, promoted(k, nil, at(22, 3, 0)), "without a policy an operator promotes")
	k.Rotation.Trigger = lifecycle.ByOperator
	require.Zero(t, promoted(k, p, at(22, 3, 0)), "staged by hand, promoted by hand")
	k.Rotation.Trigger = lifecycle.BySchedule
	p.StagingTime = by
	k.Rotation.Promoted = start.Add(-50 * day)
	require.Equal(t, at(11, 12, 0), promoted(k, p, at(9, 0, 0)), "the originator period ends first")

	older := steps(t, k, 2, lifecycle.Retire) // abandoned, and restored after another was made
	older = rotated(t, older, lifecycle.ByOperator, "", 0, later)
	older = step(t, older, lifecycle.Restore, 2, free(later.Add(2*time.Hour)))
	require.Equal(t, 2, older.Staged)
	require.Zero(t, promoted(older, p, later.Add(day)), "the clock never goes back to an older version")
}

func TestLimitThatBlocksStopsTheVersionAndOneThatRotatesDoesNot(t *testing.T) {
	for _, mode := range []policy.RotationMode{policy.Auto, policy.Manual} {
		for limit, want := range map[policy.OnLimit]bool{policy.OnLimitBlock: true, policy.OnLimitRotate: false} {
			p := policyOf(t, func(d doc) { d.RotationMode, d.OnLimit = mode, limit })
			k := usedUp(newKey(t, 1), p, at(3, 0, 0))
			pending := lifecycle.AllPendingTransitions(k, p)
			blocks := len(pending) > 0 && pending[0] == lifecycle.Pending{At: at(3, 0, 0), Op: lifecycle.Lapse, Version: 1}
			require.Equal(t, want, blocks, "%s %s", mode, limit)
			out := lifecycle.Plan(k, p, at(3, 0, 0))
			require.Equal(t, mode == policy.Auto && !want, out.ToRotate())
			require.Equal(t, mode == policy.Manual && !want, out.Status == lifecycle.Overdue)
		}
	}
	p := policyOf(t, func(d doc) { d.OnLimit, d.RotationJitter = policy.OnLimitBlock, jitter(t, "0") })
	k := step(t, usedUp(newKey(t, 1), p, at(3, 0, 0)), lifecycle.Lapse, 1, free(at(3, 0, 0)))
	out := lifecycle.Plan(k, p, at(4, 0, 0))
	require.Equal(t, lifecycle.Stopped, out.Status)
	require.Equal(t, `key "orders" cannot encrypt: it has no active version; rotate it [version_none]`, out.Why)
	require.True(t, lifecycle.Plan(k, p, start.Add(90*day)).ToRotate(), "the schedule goes on")
}
