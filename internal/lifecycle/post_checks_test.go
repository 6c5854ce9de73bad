// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// tenDays is a policy by which the key of these tests rotates on the 11th at noon.
func tenDays(t testing.TB, edits ...func(doc)) *policy.Policy {
	t.Helper()
	return policyOf(t, append([]func(doc){func(d doc) {
		d.RotationPeriod, d.RotationJitter, d.RotationRetryCycles = span(t, "10d"), jitter(t, "0"), 3
	}}, edits...)...)
}

// byPlan rotates a key that is due, as the tick does.
func byPlan(t testing.TB, k lifecycle.Key, p *policy.Policy, now time.Time) lifecycle.Key {
	t.Helper()
	out := lifecycle.Plan(k, p, now)
	require.True(t, out.ToRotate(), out.Why)
	next, err := k.Rotate(out.Trigger, out.Why, out.Slot, now)
	require.NoError(t, err)
	return next
}

func TestVersionIsCheckedAfterItsPromotionAndOnlyOnce(t *testing.T) {
	p := tenDays(t)
	require.False(t, newKey(t, 1).PostChecks(p).Pending(), "the first one was tested when it was made")
	k := byPlan(t, newKey(t, 1), p, at(11, 12, 0))
	require.True(t, k.PostChecks(p).Pending())
	require.False(t, k.PostChecks(nil).Pending(), "no policy names a check")
	require.False(t, k.PostChecks(tenDays(t, func(d doc) { d.PostChecks = nil })).Pending())
	require.False(t, moved(t, k, lifecycle.KeySuspended).PostChecks(p).Pending())
	require.False(t, steps(t, k, 2, lifecycle.Suspend).PostChecks(p).Pending())
	proved := k.PostChecks(nil).Passed()
	require.False(t, proved.PostChecks(p).Pending())
	require.Equal(t, k.Revision, proved.Revision, "no operator changed the key")

	staged, err := proved.Stage(lifecycle.ByOperator, "", time.Time{}, later)
	require.NoError(t, err)
	require.False(t, staged.PostChecks(p).Pending(), "not promoted yet")
	require.True(t, step(t, staged, lifecycle.Promote, 3, free(later)).PostChecks(p).Pending())
}

func TestVersionThatFailsACheckIsRolledBackAndTheRotationTriedAgain(t *testing.T) {
	for _, window := range []string{"", "0", "2d"} { // which is for operators
		t.Run(window, func(t *testing.T) {
			requireRolledBack(t, tenDays(t, func(d doc) {
				if window != "" {
					d.RollbackWindow = span(t, window)
				}
			}))
		})
	}
}

// requireRolledBack has a version of a key under the policy fail its check.
func requireRolledBack(t *testing.T, p *policy.Policy) {
	t.Helper()
	due := at(11, 12, 0)
	before := newKey(t, 1)
	k := byPlan(t, before, p, due)
	o := lifecycle.Order{At: due.Add(48 * time.Hour), Rules: k.RulesFor(p)} // long after the rollback window
	snapshot := copied(k)
	next, did := k.PostChecks(p).Failed("round_trip: differs", o)
	require.Equal(t, snapshot, k, "the snapshot before stays as it was")
	require.Equal(t, lifecycle.Step{ID: "T3", Op: "rollback", Version: 1, From: "deactivated", To: "active"}, did)
	require.Equal(t, []lifecycle.State{lifecycle.Active, lifecycle.Deactivated}, []lifecycle.State{next.State(1), next.State(2)})
	require.False(t, next.PostChecks(p).Pending(), "the version before was in use already")
	require.Equal(t, "round_trip: differs", next.Rotation.LastError)

	require.Equal(t, lifecycle.Retrying, lifecycle.Plan(next, p, o.At).Status)
	again := byPlan(t, next, p, o.At.Add(time.Minute))
	require.Equal(t, 3, again.Primary)
	back, _, err := again.Apply(lifecycle.Rollback, 0, free(o.At.Add(time.Hour)))
	require.NoError(t, err)
	require.Equal(t, 1, back.Primary, "nobody goes back to what failed a check")
}

func TestChecksThatFailAgainAndAgainStallTheKey(t *testing.T) {
	p := tenDays(t)
	k, now := newKey(t, 1), at(11, 12, 0)
	for n := 1; n <= 5; n++ {
		k = byPlan(t, k, p, now)
		k, _ = k.PostChecks(p).Failed("round_trip", lifecycle.Order{At: now, Rules: k.RulesFor(p)})
		require.Equal(t, n, k.Rotation.Failures)
		out := lifecycle.Plan(k, p, now)
		require.Equal(t, n >= 3, out.Status == lifecycle.Stalled, out.Status)
		require.Equal(t, at(11, 12, 0), out.Next, "due since then")
		require.Equal(t, now.Add(time.Minute<<(n-1)), out.Wake)
		now = out.Wake
	}
	k = byPlan(t, k, p, now).PostChecks(nil).Passed()
	require.Equal(t, 7, k.Latest)
	require.Zero(t, k.Rotation.Failures)
	require.Equal(t, at(11, 12, 0), k.Rotation.Base, "the schedule is kept")
	k = byPlan(t, k, p, at(21, 12, 0))
	k, _ = k.PostChecks(p).Failed("round_trip", lifecycle.Order{At: at(21, 12, 0), Rules: k.RulesFor(p)})
	require.Equal(t, 1, k.Rotation.Failures, "what was proved is forgotten")
}

func TestFailedAttemptsAndFailedChecksAddUp(t *testing.T) {
	p := tenDays(t)
	k := newKey(t, 1).Failed("token removed", p, at(11, 12, 0)).Failed("token removed", p, at(11, 12, 1))
	k = byPlan(t, k, p, at(11, 12, 3))
	require.Zero(t, k.Rotation.Failures)
	k, _ = k.PostChecks(p).Failed("round_trip", lifecycle.Order{At: at(11, 12, 3), Rules: k.RulesFor(p)})
	require.Equal(t, 3, k.Rotation.Failures)
	require.Equal(t, lifecycle.Stalled, lifecycle.Plan(k, p, at(11, 12, 3)).Status)
}

func TestVersionThatFailsACheckStaysWhereThereIsNothingToGoBackTo(t *testing.T) {
	p := tenDays(t)
	k := byPlan(t, newKey(t, 1), p, at(11, 12, 0))
	k, _, err := k.Configure(lifecycle.ConfigChange{MinDecryption: ptr(2)})
	require.NoError(t, err)
	next, did := k.PostChecks(p).Failed("round_trip", lifecycle.Order{At: at(11, 12, 1), Rules: k.RulesFor(p)})
	require.Zero(t, did)
	require.Equal(t, 2, next.Primary)
	require.False(t, next.PostChecks(p).Pending())
	out := lifecycle.Plan(next, p, at(11, 12, 1))
	require.Equal(t, lifecycle.Retrying, out.Status, "a successor is tried for")
	require.Equal(t, at(11, 12, 2), out.Wake)
	require.Equal(t, 3, byPlan(t, next, p, at(11, 12, 2)).Primary)
}

func TestVersionThatFailsACheckDoesNotTouchTheStagedOne(t *testing.T) {
	p := tenDays(t)
	k := byPlan(t, newKey(t, 1), p, at(11, 12, 0))
	k, err := k.Stage(lifecycle.ByOperator, "", time.Time{}, at(11, 12, 1))
	require.NoError(t, err)
	next, did := k.PostChecks(p).Failed("round_trip", lifecycle.Order{At: at(11, 12, 2), Rules: k.RulesFor(p)})
	require.Equal(t, 1, did.Version)
	require.Equal(t, []int{1, 3}, []int{next.Primary, next.Staged})
	require.Equal(t, lifecycle.PreActive, next.State(3))
}

// TestOriginatorPeriodDoesNotBeginAnewWithARollback is what a rollback must not be used for.
func TestOriginatorPeriodDoesNotBeginAnewWithARollback(t *testing.T) {
	p := tenDays(t, func(d doc) { d.OriginatorPeriod = span(t, "11d"); d.RollbackWindow = span(t, "2d") })
	k := byPlan(t, newKey(t, 1), p, at(11, 12, 0))
	o := func(now time.Time) lifecycle.Order { return lifecycle.Order{At: now, Rules: k.RulesFor(p)} }
	back, _, err := k.Apply(lifecycle.Rollback, 0, o(at(12, 11, 59)))
	require.NoError(t, err)
	out := lifecycle.Plan(back, p, at(12, 12, 0))
	require.Equal(t, lifecycle.ByPeriod, out.Trigger, "version 1 protects since the 1st")
	require.True(t, out.ToRotate())

	_, _, err = k.Apply(lifecycle.Rollback, 0, o(at(12, 12, 0)))
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.EqualError(t, err, "originator_period of version 1, before version 2, ended at 2026-03-12T12:00:00Z: rotate instead")
	next, did := k.PostChecks(p).Failed("round_trip", o(at(12, 12, 0)))
	require.Equal(t, 1, did.Version, "a version that does not work is worse")
	require.Equal(t, lifecycle.Retrying, lifecycle.Plan(next, p, at(12, 12, 0)).Status)
}

func TestFailedChecksDoNotFillTheRecordForEver(t *testing.T) {
	racetest.Skip(t, "one goroutine fills a record")
	p := tenDays(t)
	k, now := newKey(t, 1), at(11, 12, 0)
	for range lifecycle.Most + 10 {
		now = now.Add(time.Second)
		next, err := k.Rotate(lifecycle.BySchedule, "", time.Time{}, now)
		if err != nil {
			require.ErrorIs(t, err, refusal.ErrRefused)
			require.ErrorContains(t, err, "versions in states of their own")
			break
		}
		k, _ = next.PostChecks(p).Failed("round_trip", lifecycle.Order{At: now, Rules: k.RulesFor(p)})
	}
	require.Len(t, k.Overrides, lifecycle.Most)
	require.Equal(t, lifecycle.Active, k.State(1))
}
