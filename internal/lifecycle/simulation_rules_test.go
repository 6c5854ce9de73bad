// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/schedule/scheduletest"
	"github.com/stretchr/testify/require"
)

// rulebook keeps its own books of a key, so that it need not believe the key's.
type rulebook struct {
	protects  map[int]time.Time // since when a version protects
	destroys  map[int]time.Time // when a retired version may be destroyed
	quiets    map[int]time.Time // until when a version may not be retired
	destroyed map[int]bool
	whole     time.Time // when the retired key may be destroyed
	steps     int
}

func newRulebook(s *simulation) rulebook {
	return rulebook{
		protects: map[int]time.Time{1: s.key.Created}, destroys: map[int]time.Time{}, quiets: map[int]time.Time{}, destroyed: map[int]bool{},
	}
}

// quiet begins a quiet period of the version, by the policy in force.
func (b *rulebook) quiet(s *simulation, v int) {
	until := s.now.Add(s.policy.QuietPeriod.Duration)
	if until.After(b.quiets[v]) {
		b.quiets[v] = until
	}
}

// afterStep holds what is true after every step.
func (b *rulebook) afterStep(s *simulation, what string, before lifecycle.Key) {
	t, k := s.t, s.key
	require.LessOrEqual(t, before.Latest, k.Latest)
	require.LessOrEqual(t, k.Latest, before.Latest+1)
	from := max(1, k.Latest-8) // the rest now and then
	if b.steps++; b.steps%50 == 0 {
		from = 1
	}
	actives := 0
	for v := 1; v <= k.Latest; v++ {
		_, marked := k.Overrides[v]
		if v < from && !marked && v != k.Primary {
			continue
		}
		state := k.State(v)
		if state == lifecycle.Active {
			actives++
		}
		b.version(s, v, before.State(v), state)
	}
	b.privateHalves(s, what, before)
	if k.Primary > 0 && b.protects[k.Primary].IsZero() {
		b.protects[k.Primary] = s.now // promoted while the key is suspended
	}
	switch primary := k.State(k.Primary); {
	case k.Status.State != lifecycle.Enabled:
		require.Zero(t, actives)
	case k.Primary == 0:
		require.Zero(t, actives)
		require.True(t, what == "lapse" || what == "resume" || before.Primary == 0, "the key lost its active version by %s", what)
	case primary == lifecycle.Suspended || primary == lifecycle.Compromised || primary == lifecycle.Retired || primary == lifecycle.Destroyed:
		require.Zero(t, actives)
	default:
		require.Equal(t, 1, actives, "after %s", what)
	}
	if k.Status.State == lifecycle.KeyRetired && before.Status.State != lifecycle.KeyRetired {
		b.whole = s.now.Add(s.policy.DestroyDelay.Duration)
	}
	if k.Status.State == lifecycle.KeyDestroyed && before.Status.State != lifecycle.KeyDestroyed {
		require.False(t, s.now.Before(b.whole), "the key was destroyed before its time")
		require.False(t, before.Hold)
	}
}

// privateHalves holds what is true of the versions that lost theirs.
func (b *rulebook) privateHalves(s *simulation, what string, before lifecycle.Key) {
	t, k := s.t, s.key
	require.GreaterOrEqual(t, k.PrivateFrom, before.PrivateFrom, "a private half came back")
	for _, v := range []int{k.Primary, k.Staged} {
		require.True(t, v == 0 || v >= k.PrivateFrom, "version %d may sign and has no private half, after %s", v, what)
	}
	if k.PrivateFrom == before.PrivateFrom {
		return
	}
	require.Equal(t, "erase-private", what)
	require.Equal(t, keytype.Ed25519, k.Type)
	require.True(t, s.policy.ErasePrivateKey && !before.Hold)
	require.False(t, s.weather.frozen[s.minute], "erased while the clock is not believed")
	require.Zero(t, k.RollbackTarget())
}

// version holds what is true of one version that went from one state to another.
func (b *rulebook) version(s *simulation, v int, from, to lifecycle.State) {
	t := s.t
	if b.destroyed[v] {
		require.Equal(t, lifecycle.Destroyed, to, "version %d revived", v)
	}
	if from == to {
		return
	}
	wholeKey := s.key.Status.State != lifecycle.Enabled && s.key.Status.State != lifecycle.KeySuspended
	switch to {
	case lifecycle.Active:
		if b.protects[v].IsZero() {
			b.protects[v] = s.now
		}
		require.Zero(t, s.key.Overrides[v].Compromise, "version %d was compromised", v)
	case lifecycle.Archived:
		b.quiet(s, v)
	case lifecycle.Retired:
		if from == lifecycle.Archived && !wholeKey {
			require.False(t, s.now.Before(b.quiets[v]), "version %d was retired in its quiet period, which ends at %s", v, b.quiets[v])
		}
		b.destroys[v] = s.now.Add(s.policy.DestroyDelay.Duration)
	case lifecycle.Destroyed:
		b.destroyed[v] = true
		if !wholeKey {
			require.False(t, s.now.Before(b.destroys[v]), "version %d was destroyed before %s", v, b.destroys[v])
			require.False(t, s.key.Hold)
			require.False(t, s.weather.frozen[s.minute], "destroyed while the clock is not believed")
		}
	default:
	}
}

// beforeRotation holds what is true when the engine rotates a key.
func (b *rulebook) beforeRotation(s *simulation, out lifecycle.RotationPlan) {
	t := s.t
	if s.now.Sub(out.Next) > time.Hour && s.late > time.Hour {
		s.seen["catch-up"]++
	}
	require.False(t, s.now.Before(out.Next))
	if out.Trigger != lifecycle.BySchedule {
		require.Zero(t, out.Slot)
		return
	}
	require.False(t, out.Slot.After(s.now))
	require.True(t, out.Slot.After(s.key.Rotation.Base), "a slot is used once")
	slot, after := b.slots(s)
	require.False(t, out.Next.Before(slot), "before its time")
	switch {
	case s.policy.RotationWindow != "":
		s.seen["in a window"]++
		require.True(t, b.open(s), "rotated while the window %q in %q is closed", s.policy.RotationWindow, s.policy.RotationZone)
	case len(s.policy.RotationBlackout) == 0:
		require.LessOrEqual(t, out.Next.Sub(slot), after.Sub(slot)/4, "jitter is at most a quarter of the period")
	}
	b.light(s, "rotated")
	if changed(zone(t, s.policy.RotationZone), s.now) {
		s.seen["on the day of a change"]++
	}
}

// beforePromotion holds what is true when the clock promotes a staged version: in the window, or because the active one
// may protect no longer.
func (b *rulebook) beforePromotion(s *simulation) {
	k := s.key
	require.Greater(s.t, k.Staged, k.Primary, "the clock never goes back to an older version")
	period := k.RulesFor(&s.policy).OriginatorPeriod
	ended := period > 0 && k.Primary > 0 && !s.now.Before(b.protects[k.Primary].Add(period))
	if ended || k.Rotation.Exhausted == k.Primary || k.Rotation.Last.After(s.now) {
		return
	}
	b.light(s, "promoted")
	if s.policy.RotationWindow == "" {
		return
	}
	s.seen["promoted in a window"]++
	require.True(s.t, b.open(s), "promoted while the window %q in %q is closed", s.policy.RotationWindow, s.policy.RotationZone)
}

// light tells from the wall's clock that no blackout is on.
func (b *rulebook) light(s *simulation, act string) {
	if len(s.policy.RotationBlackout) > 0 {
		s.seen[act+" beside a blackout"]++
		dark := scheduletest.Dark(s.policy.RotationBlackout, s.now, zone(s.t, s.policy.RotationZone))
		require.False(s.t, dark, "%s in the blackout %q in %q", act, s.policy.RotationBlackout, s.policy.RotationZone)
	}
}

// slots are the next two points of the schedule.
func (b *rulebook) slots(s *simulation) (slot, after time.Time) {
	since := s.key.Rotation.Base
	if s.policy.RotationSchedule == "" {
		return since.Add(s.policy.RotationPeriod.Duration), since.Add(2 * s.policy.RotationPeriod.Duration)
	}
	table, err := schedule.ParseCron(s.policy.RotationSchedule, zone(s.t, s.policy.RotationZone))
	require.NoError(s.t, err)
	slot = table.Next(since)
	return slot, table.Next(slot)
}

// changed reports whether the clock on the wall is turned within a day.
func changed(z *time.Location, at time.Time) bool {
	_, before := at.Add(-day / 2).In(z).Zone()
	_, after := at.Add(day / 2).In(z).Zone()
	return before != after
}

// open tells from the wall's clock whether the rotation window is open.
func (b *rulebook) open(s *simulation) bool {
	z, c := zone(s.t, s.policy.RotationZone), crons[s.policy.RotationWindow]
	from := s.now.Add(-s.policy.RotationWindowLength.Duration)
	if changed(z, s.now) {
		return len(c.Walk(z, from, s.now)) > 0
	}
	for at := s.now.Truncate(time.Minute); at.After(from); at = at.Add(-time.Minute) {
		if wall := at.In(z); wall.Minute() == 0 || wall.Minute() == 30 { // as all of these windows
			if c.Names(wall) {
				return true
			}
		}
	}
	return false
}

// afterTick holds that no version protects past its originator period where automation may act: not now, and not until
// the key is looked at again.
func (b *rulebook) afterTick(s *simulation, wake time.Time) {
	t, k := s.t, s.key
	period := k.RulesFor(&s.policy).OriginatorPeriod
	if period == 0 || k.Status.State != lifecycle.Enabled || k.State(k.Primary) != lifecycle.Active {
		return
	}
	if s.policy.RotationMode == policy.Auto {
		blocked := k.Staged != 0 && (k.State(k.Staged) != lifecycle.PreActive || s.policy.StagingTime.Duration == 0 || k.Staged < k.Primary)
		if blocked || k.Rotation.Failures > 0 || s.policy.AdmitsVersion(k.Type, s.now) != nil {
			return
		}
	}
	end := b.protects[k.Primary].Add(period)
	require.True(t, s.now.Before(end), "version %d protects past the end of its originator period, %s", k.Primary, end)
	require.False(t, wake.IsZero() || wake.After(end), "nobody looks before the originator period ends at %s, but at %s", end, wake)
}
