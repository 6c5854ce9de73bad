// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/stretchr/testify/require"
)

// oracle is Plan and lastSlot written naively: it walks the schedule slot by slot and knows no division.
type oracle struct {
	period, put time.Duration // the jitter that this version got
	mode        lifecycle.Mode
	retry       time.Time
}

func (o oracle) status(since, now time.Time) lifecycle.Status {
	switch {
	case o.period == 0:
		return lifecycle.Unscheduled
	case now.Before(since.Add(o.period).Add(o.put)):
		return lifecycle.Scheduled
	case o.mode != lifecycle.Auto:
		return lifecycle.Overdue
	case now.Before(o.retry):
		return lifecycle.Retrying
	}
	return lifecycle.Due
}

// slot is the last point of the schedule that is not after now.
func (o oracle) slot(since, now time.Time) time.Time {
	for !since.Add(o.period).After(now) {
		since = since.Add(o.period)
	}
	return since
}

// scene is what a fuzzer is asked for, made sensible.
type scene struct {
	key    lifecycle.Key
	policy *lifecycle.Policy
	now    time.Time
}

const mostSlots = 5000 // bounds the walk

func newScene(t *testing.T, id string, period uint32, percent, mode, failures uint8, after int64) scene {
	k := newKey(t, 1)
	k.ID = id
	p := newPolicy(t, "1m", "0%", []lifecycle.Mode{lifecycle.Auto, lifecycle.Manual, lifecycle.Notify}[mode%3])
	p.RotationPeriod.Duration = time.Duration(period) * time.Second
	if period != 0 && period < 60 {
		p.RotationPeriod.Duration = time.Minute
	}
	p.RotationJitter = jitter(t, []string{"0%", "1%", "5%", "12.5%", "25%"}[percent%5])
	longest := max(p.RotationPeriod.Duration, time.Minute) * mostSlots
	now := start.Add(time.Duration(after) % longest)
	for range failures % 8 {
		k = k.Failed("token removed", now.Add(-time.Duration(after)%time.Hour))
	}
	return scene{k, p, now}
}

func FuzzPlan(f *testing.F) {
	f.Add("6b6579", uint32(90*24*3600), uint8(2), uint8(0), uint8(0), int64(90*24*time.Hour))
	f.Add("", uint32(0), uint8(0), uint8(0), uint8(0), int64(0))
	f.Add("a", uint32(60), uint8(4), uint8(0), uint8(3), int64(1000*time.Hour))
	f.Add("b", uint32(61), uint8(4), uint8(1), uint8(1), int64(-time.Hour))
	f.Add("c", uint32(3600), uint8(0), uint8(0), uint8(0), int64(time.Hour))
	f.Fuzz(func(t *testing.T, id string, period uint32, percent, mode, failures uint8, after int64) {
		s := newScene(t, id, period, percent, mode, failures, after)
		got := lifecycle.Plan(s.key, s.policy, s.now)
		require.Equal(t, got, lifecycle.Plan(s.key, s.policy, s.now))
		checkAgainstOracle(t, s, got)
		if got.ToRotate() {
			checkCatchUp(t, s, got)
		}
	})
}

func checkAgainstOracle(t *testing.T, s scene, got lifecycle.Outlook) {
	o := oracle{period: s.policy.RotationPeriod.Duration, mode: s.policy.RotationMode, retry: s.key.Rotation.RetryAt}
	if o.period == 0 {
		require.Equal(t, lifecycle.Unscheduled, got.Status)
		require.True(t, got.Next.IsZero() && got.Wake.IsZero())
		return
	}
	o.put = got.Next.Sub(start.Add(o.period))
	require.GreaterOrEqual(t, o.put, time.Duration(0))
	require.LessOrEqual(t, o.put, o.period/4)
	require.Equal(t, o.status(start, s.now), got.Status)
	require.Equal(t, got.Status == lifecycle.Overdue, got.Wake.IsZero())
	if got.Status == lifecycle.Scheduled || got.Status == lifecycle.Retrying {
		require.True(t, got.Wake.After(s.now), "looked at in vain before")
	}
}

// checkCatchUp rotates once, as the tick does: whatever the outage, nothing more is due then, and the schedule is kept.
func checkCatchUp(t *testing.T, s scene, before lifecycle.Outlook) {
	o := oracle{period: before.Period}
	rotated := rotated(t, s.key, lifecycle.BySchedule, before.Why, before.Period, s.now)
	require.Equal(t, o.slot(start, s.now), rotated.Rotation.Since)

	after := lifecycle.Plan(rotated, s.policy, s.now)
	require.Equal(t, lifecycle.Scheduled, after.Status, "one outage asked for a second rotation")
	require.True(t, after.Next.After(s.now))
	require.False(t, after.Next.After(s.now.Add(before.Period+before.Period/4)), "the next one is not put off past its period")
}

func TestAnyOutageAsksForExactlyOneRotation(t *testing.T) {
	p := newPolicy(t, "1h", "25%", lifecycle.Auto)
	k := newKey(t, 1)
	r := chance(3)
	now := start
	for range 500 {
		now = now.Add(time.Duration(r.Int64N(int64(100 * time.Hour))))
		asked := 0
		for lifecycle.Plan(k, p, now).ToRotate() {
			k = rotated(t, k, lifecycle.BySchedule, "", time.Hour, now)
			asked++
			require.LessOrEqual(t, asked, 1)
		}
		require.Equal(t, lifecycle.Scheduled, lifecycle.Plan(k, p, now).Status)
	}
	require.Greater(t, k.Latest, 400)
}
