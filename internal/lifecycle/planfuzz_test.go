// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

// scene is what a fuzzer is asked for, made sensible: a few days around a change of the clock.
type scene struct {
	key    lifecycle.Key
	policy *policy.Policy
	now    time.Time
}

// drawn takes one of the choices.
func drawn[T any](n uint8, choices ...T) T { return choices[int(n)%len(choices)] }

// asked is what a fuzzer draws. Minutes count from the key's creation.
type asked struct {
	id                                   string
	schedule, window, spread, mode, zone uint8
	period, staging, originator          uint16 // minutes
	failures, marks                      uint8
	exhausted, after                     uint16 // minutes
	seconds, blackout                    uint8
}

func (a asked) scene(t *testing.T) scene {
	born := drawn(a.zone, "2026-03-27T10:20:30Z", "2026-10-23T10:20:30Z", "2026-03-06T05:00:00Z", "2026-10-30T05:00:00Z", "2026-10-02T00:00:00Z")
	k := newKey(t, 1)
	k.ID = a.id
	at := utc(t, born)
	k.Rotation.Base, k.Rotation.Promoted, k.Rotation.Last, k.Recent = at, at, at, []time.Time{at}
	minutes := func(n uint16) schedule.Span {
		d := time.Duration(n) * time.Minute
		return schedule.Span{Text: d.String(), Duration: d}
	}
	doc := policy.DefaultDocument()
	doc.RotationMode = drawn(a.mode, policy.Auto, policy.Auto, policy.Manual, policy.Notify)
	doc.RotationZone = drawn(a.zone, "Europe/Berlin", "Europe/Berlin", "America/New_York", "America/New_York", "Australia/Lord_Howe")
	doc.RotationSchedule = drawn(a.schedule, "", "30 2 * * *", "0 */6 * * *", "15 3 * * 1,4", "45 1-3 * * *")
	doc.RotationPeriod = minutes(a.period % (4 * 24 * 60))
	if doc.RotationSchedule != "" {
		doc.RotationPeriod = minutes(0)
	}
	doc.RotationJitter = jitter(t, drawn(a.spread, "0%", "1%", "5%", "12.5%", "25%"))
	doc.RotationWindow = drawn(a.window, "", "0 22 * * *", "0 2 * * 6", "30 2 * * *", "0 * * * *")
	doc.RotationWindowLength = minutes(drawn[uint16](a.window/8, 60, 180, 360))
	on := func(n int, layout string) string {
		return at.In(zone(t, doc.RotationZone)).AddDate(0, 0, n).Format(layout)
	}
	doc.RotationBlackout = drawn(a.blackout, nil, nil, nil,
		[]string{on(1, "01-02")}, []string{on(0, "01-02") + "/" + on(2, "01-02")}, []string{on(2, time.DateOnly) + "/" + on(3, time.DateOnly), on(5, "01-02")},
		[]string{on(1, "01-02"), on(2, "01-02") + "/" + on(4, "01-02")})
	doc.StagingTime = minutes(a.staging % 600)
	doc.OriginatorPeriod = schedule.Span{Text: "0"}
	if a.originator > 0 {
		doc.OriginatorPeriod = minutes(600 + a.originator%(10*24*60))
	}
	doc.RotationRetryCycles = 3
	doc.OnLimit = drawn(a.mode/4, policy.OnLimitRotate, policy.OnLimitBlock)
	if a.marks&1 > 0 {
		doc.AllowedTypes = []keytype.Type{keytype.ChaCha20Poly1305}
	}
	p, err := policy.Stored(policy.Policy{Name: "pci", Revision: 1, Created: at, Document: doc})
	require.NoError(t, err)
	now := at.Add(time.Duration(a.after%(10*24*60))*time.Minute + time.Duration(a.seconds)*time.Second)
	if a.exhausted > 0 {
		k = usedUp(k, &p, at.Add(time.Duration(a.exhausted%(10*24*60))*time.Minute))
	}
	if a.marks&2 > 0 {
		since := k.Rotation.Base
		k, err = k.Stage(lifecycle.ByOperator, "", since, at)
		require.NoError(t, err)
	}
	for range a.failures % 6 {
		k = k.Failed("token removed", &p, now.Add(-time.Duration(a.failures)*time.Minute))
	}
	return scene{k, &p, now}
}

// seeds are what a fuzzer begins with.
func seeds() []asked {
	r := chance(21)
	list := []asked{
		{id: "6b6579", period: 90, spread: 2, after: 90},
		{},
		{id: "a", period: 1, spread: 4, after: 600, failures: 3},
	}
	for range 300 {
		n := func() uint8 { return uint8(r.UintN(256)) }
		w := func(often int) uint16 { return uint16(r.UintN(1<<16)) * uint16(min(r.IntN(often), 1)) }
		a := asked{"", n(), n(), n(), n(), n(), w(9), w(2), w(3), n() * uint8(r.UintN(2)), 0, w(3), w(9), n(), n()}
		if r.IntN(5) == 0 {
			a.marks = n()
		}
		list = append(list, a)
	}
	return list
}

func TestSeedsReachEveryStatusByEveryCause(t *testing.T) {
	racetest.Skip(t, "one goroutine, and nothing but arithmetic")
	seen := map[string]int{}
	for _, a := range seeds() {
		s := a.scene(t)
		out := lifecycle.Plan(s.key, s.policy, s.now)
		seen[string(out.Status)]++
		if out.ToRotate() {
			seen[string(out.Trigger)]++
		}
		if strings.Contains(out.Why, "waits for rotation_window") {
			seen["window"]++
		}
		if strings.Contains(out.Why, "rotation_blackout") {
			seen["blackout"]++
		}
	}
	for _, what := range []string{"none", "scheduled", "due", "overdue", "retrying", "stalled", "schedule", "period", "usage", "window", "blackout"} {
		require.GreaterOrEqual(t, seen[what], 2, "%s of %v", what, seen)
	}
}

func FuzzPlan(f *testing.F) {
	for i, a := range seeds() {
		if racetest.Spared(f, i) {
			continue
		}
		f.Add(a.id, a.schedule, a.window, a.spread, a.mode, a.zone, a.period, a.staging, a.originator, a.failures, a.marks, a.exhausted, a.after, a.seconds, a.blackout)
	}
	f.Fuzz(func(t *testing.T, id string, schedule, window, spread, mode, zone uint8, period, staging, originator uint16,
		failures, overrides uint8, exhausted, after uint16, seconds, blackout uint8,
	) {
		s := asked{id, schedule, window, spread, mode, zone, period, staging, originator, failures, overrides, exhausted, after, seconds, blackout}.scene(t)
		got := lifecycle.Plan(s.key, s.policy, s.now)
		require.Equal(t, got, lifecycle.Plan(s.key, s.policy, s.now))
		checkAgainstOracle(t, s, got)
		if got.ToRotate() {
			checkCatchUp(t, s, got)
		}
	})
}

func checkAgainstOracle(t *testing.T, s scene, got lifecycle.RotationPlan) {
	o := newOracle(t, s.key, s.policy, s.now)
	require.Equal(t, o.plan(t, s.now), wanted{got.Status, got.Next, got.Slot}, "%s", got.Why)
	unpromoted := s.key.Staged != 0 && s.key.Rotation.Failures > 0 // for the pending transitions
	by := o.schedule(t, s.now).status                              // whether the key has stopped or not
	require.Equal(t, unpromoted || by == lifecycle.Overdue || by == lifecycle.Unscheduled, got.Wake.IsZero())
	require.Equal(t, s.policy.RotationMode, got.Mode)
	if unpromoted {
		return
	}
	switch got.Status {
	case lifecycle.Scheduled, lifecycle.Retrying, lifecycle.Stalled:
		require.True(t, got.Wake.After(s.now), "looked at in vain before")
		before, after := lifecycle.Plan(s.key, s.policy, got.Wake.Add(-time.Second)), lifecycle.Plan(s.key, s.policy, got.Wake)
		require.False(t, before.ToRotate(), "rotated before the time named")
		if got.Mode == policy.Auto && s.key.Staged == 0 && len(s.policy.AllowedTypes) == 0 && got.Status == lifecycle.Scheduled {
			require.NotEqual(t, lifecycle.Scheduled, after.Status, "nothing happens at the time named: %s", after.Why)
		}
	default:
	}
}

// checkCatchUp rotates once, as the tick does: whatever the outage, nothing more is due then, and the schedule is kept.
func checkCatchUp(t *testing.T, s scene, due lifecycle.RotationPlan) {
	grow := s.key.Rotate
	if s.policy.StagingTime.Duration > 0 {
		grow = s.key.Stage
	}
	next, err := grow(due.Trigger, due.Why, due.Slot, s.now)
	require.NoError(t, err)
	after := lifecycle.Plan(next, s.policy, s.now)
	require.NotEqual(t, lifecycle.Due, after.Status, "one outage asked for a second rotation")
	if next.Staged == 0 && after.Status != lifecycle.Unscheduled {
		require.Equal(t, lifecycle.Scheduled, after.Status)
		require.True(t, after.Next.After(s.now))
	}
	if !due.Slot.IsZero() {
		require.Equal(t, due.Slot, next.Rotation.Base)
		require.False(t, due.Slot.After(s.now))
	}
}

func TestAnyOutageAsksForExactlyOneRotation(t *testing.T) {
	p := newPolicy(t, "1h", "25%", policy.Auto)
	k := newKey(t, 1)
	r := chance(3)
	now := start
	for range 500 {
		now = now.Add(time.Duration(r.Int64N(int64(100 * time.Hour))))
		asked := 0
		for out := lifecycle.Plan(k, p, now); out.ToRotate(); out = lifecycle.Plan(k, p, now) {
			var err error
			k, err = k.Rotate(out.Trigger, out.Why, out.Slot, now)
			require.NoError(t, err)
			asked++
			require.LessOrEqual(t, asked, 1)
			require.Zero(t, k.Rotation.Base.Sub(start)%time.Hour, "the schedule drifted")
		}
		require.Equal(t, lifecycle.Scheduled, lifecycle.Plan(k, p, now).Status)
	}
	require.Greater(t, k.Latest, 400)
}
