// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/stretchr/testify/require"
)

// dark is a policy by which keys rotate every ten days, and not from 8 to 20 March.
func dark(t *testing.T, edits ...func(doc)) *policy.Policy {
	return policyOf(t, append([]func(doc){func(d doc) {
		d.RotationPeriod, d.RotationJitter, d.RotationBlackout = span(t, "10d"), jitter(t, "0"), []string{"03-08/03-20"}
	}}, edits...)...)
}

func TestARotationWaitsForTheEndOfABlackout(t *testing.T) {
	p, k := dark(t), newKey(t, 1)
	end := utc(t, "2026-03-21T00:00:00Z")
	plan := lifecycle.Plan(k, p, start)
	require.Equal(t, []any{lifecycle.Scheduled, end, end}, []any{plan.Status, plan.Next, plan.Wake})
	require.Equal(t, "version 1 is in force from 2026-03-01T12:00:00Z until 2026-03-21T00:00:00Z, kept back by rotation_blackout until 2026-03-21T00:00:00Z", plan.Why)

	plan = lifecycle.Plan(k, p, end)
	require.True(t, plan.ToRotate())
	require.Equal(t, "the rotation period of 10d ended at 2026-03-21T00:00:00Z, kept back by rotation_blackout until 2026-03-21T00:00:00Z", plan.Why)
	require.Equal(t, at(11, 12, 0), plan.Slot, "the schedule goes on as if nothing had been put off")
	next := byPlan(t, k, p, end)
	require.Equal(t, at(21, 12, 0), lifecycle.Plan(next, p, end).Next)
}

func TestAKeyThatWasDueBeforeABlackoutBeganWaitsForItsEnd(t *testing.T) {
	p := dark(t, func(d doc) { d.RotationBlackout = []string{"03-12/03-20"} })
	k := newKey(t, 1)
	require.True(t, lifecycle.Plan(k, p, at(11, 12, 0)).ToRotate())
	missed := lifecycle.Plan(k, p, at(12, 1, 0)) // no tick ran
	require.Equal(t, []any{lifecycle.Scheduled, utc(t, "2026-03-21T00:00:00Z")}, []any{missed.Status, missed.Next})
	require.Equal(t, "due since 2026-03-11T12:00:00Z, and waits for the end of rotation_blackout until 2026-03-21T00:00:00Z", missed.Why)
	failed := lifecycle.Plan(k.Failed("token removed", p, at(11, 12, 0)), p, at(12, 1, 0))
	require.Equal(t, []any{lifecycle.Retrying, utc(t, "2026-03-21T00:00:00Z")}, []any{failed.Status, failed.Wake})
	require.Contains(t, failed.Why, "token removed; the next one waits for the end of rotation_blackout until 2026-03-21T00:00:00Z")
}

func TestABlackoutIsByTheZoneOfThePolicyAndLeavesTheRestOfAWindow(t *testing.T) {
	p := dark(t, func(d doc) {
		d.RotationZone, d.RotationWindow, d.RotationWindowLength = "America/New_York", "0 22 * * *", span(t, "6h")
	})
	plan := lifecycle.Plan(newKey(t, 1), p, start)
	require.Equal(t, utc(t, "2026-03-21T04:00:00Z"), plan.Next, "midnight in New York, two hours into the window")
}

func TestLimitsPeriodsAndIncidentsDoNotWaitForABlackout(t *testing.T) {
	now := at(15, 12, 0)
	p := dark(t, func(d doc) { d.MaxEncryptions = 10 })
	require.Equal(t, lifecycle.ByUsage, lifecycle.Plan(usedUp(newKey(t, 1), p, now), p, now).Trigger)
	require.True(t, lifecycle.Plan(usedUp(newKey(t, 1), p, now), p, now).ToRotate())

	stored := *p // as a stricter release would have read it
	stored.OriginatorPeriod = span(t, "14d")
	plan := lifecycle.Plan(newKey(t, 1), &stored, now)
	require.Equal(t, []any{lifecycle.Due, lifecycle.ByPeriod}, []any{plan.Status, plan.Trigger})

	_, err := newKey(t, 1).Rotate(lifecycle.ByOperator, "", time.Time{}, now)
	require.NoError(t, err)
	reported := step(t, newKey(t, 1), lifecycle.ReportCompromise, 1, free(now))
	require.True(t, reported.NeedsSuccessor())
}

func TestAStagedVersionIsPromotedWhenTheBlackoutIsOver(t *testing.T) {
	p := dark(t, func(d doc) { d.StagingTime = span(t, "2d") })
	k, err := newKey(t, 1).Stage(lifecycle.BySchedule, "", time.Time{}, at(7, 0, 0))
	require.NoError(t, err)
	end := utc(t, "2026-03-21T00:00:00Z")
	require.Equal(t, lifecycle.Pending{At: end, Op: lifecycle.Promote, Version: 2}, lifecycle.PendingTransitions(k, p, at(10, 0, 0))[0])
	next := lifecycle.Forecast(k, p, nil, at(10, 0, 0), 1)
	require.Equal(t, []lifecycle.Forecasted{{At: end, Act: "promote", Version: 2, Why: "staging_time has ended, kept back by rotation_blackout until 2026-03-21T00:00:00Z"}}, next)
}

func TestAForecastSaysWhichRotationsWaitForABlackout(t *testing.T) {
	list := lifecycle.Forecast(newKey(t, 1), dark(t), nil, start, 2)
	require.Equal(t, utc(t, "2026-03-21T00:00:00Z"), list[0].At)
	require.Contains(t, list[0].Why, "kept back by rotation_blackout until 2026-03-21T00:00:00Z")
	require.Equal(t, at(21, 12, 0), list[1].At)
	require.NotContains(t, list[1].Why, "rotation_blackout")
}

func TestKeysThatWaitedForABlackoutDoNotRotateAtOnce(t *testing.T) {
	p := dark(t, func(d doc) { d.RotationJitter = jitter(t, "5%") })
	end, seen := utc(t, "2026-03-21T00:00:00Z"), map[time.Time]bool{}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		k := newKey(t, 1)
		k.ID = id
		next := lifecycle.Plan(k, p, start).Next
		require.False(t, next.Before(end) || next.After(end.Add(12*time.Hour)))
		seen[next] = true
	}
	require.Len(t, seen, 5)
}
