// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/stretchr/testify/require"
)

// happened counts what a simulation saw, so that it cannot pass without having seen it.
type happened map[string]int

// floors are how often each thing has to happen to a thousand keys in a year.
var floors = happened{
	"by schedule": 8000, "by period": 250, "by usage": 50, "by incident": 20, "by operator": 300,
	"staged": 500, "promote": 500, "lapse": 50, "archive": 6000, "retire": 2000, "destroy": 2000,
	"failed": 1000, "retrying": 500, "stalled": 200, "overdue": 500, "disproved": 500, "rolled back": 50, "nothing to roll back to": 5,
	"catch-up": 300, "in a window": 3000, "rotated beside a blackout": 500, "promoted beside a blackout": 100, "promoted in a window": 500, "on the day of a change": 20, "frozen": 1000, "put off by a denial": 20,
	"erase-private": 300, "denied": 300, "looser": 200, "revised": 500, "held": 50, "blocked": 50, "key suspended": 50, "key archived": 20,
}

// TestAYearOfAThousandKeys lets a year pass for keys of all kinds, and does to them what the tick does: whatever fails,
// whoever acts, and whatever the clock shows, the rules hold after every step.
func TestAYearOfAThousandKeys(t *testing.T) {
	mounts, keys := 8, 1000
	if racetest.Watched(t) || testing.Short() {
		mounts, keys = 2, 20
	}
	var lock sync.Mutex
	total := happened{}
	t.Run("mounts", func(t *testing.T) {
		for mount := range mounts {
			t.Run(fmt.Sprint(mount), func(t *testing.T) {
				t.Parallel()
				r := chance(uint64(100 + mount))
				w := newWeather(r, time.Date(2026, 1, 5, 10, 0, r.IntN(60), 0, time.UTC))
				for n := range keys / mounts {
					s := newSimulation(t, w, chance(uint64(1000*mount+n)))
					s.run()
					lock.Lock()
					for what, count := range s.seen {
						total[what] += count
					}
					lock.Unlock()
				}
			})
		}
	})
	t.Log(total)
	if keys < 1000 {
		return // too few for rare things; the plain run counts them
	}
	for what, floor := range floors {
		require.GreaterOrEqual(t, total[what], floor, what)
	}
}

// simulation is one key on its way through a year.
type simulation struct {
	t       *testing.T
	r       *rand.Rand
	weather weather
	minute  int
	now     time.Time
	key     lifecycle.Key
	policy  policy.Policy
	dates   map[int]time.Time
	denied  map[int]time.Time // when a use of a version was last denied
	failing float64           // how likely an attempt fails
	rules   rulebook
	seen    happened
	late    time.Duration // how long the tick looked away before this one
}

func newSimulation(t *testing.T, w weather, r *rand.Rand) *simulation {
	t.Helper()
	born := w.born.Add(time.Duration(r.IntN(30*24*3600)) * time.Second)
	asked := spec()
	asked.ID, asked.Policy = fmt.Sprintf("%016x", r.Uint64()), "pci"
	k, err := lifecycle.New(asked, born)
	require.NoError(t, err)
	s := &simulation{
		t: t, r: r, weather: w, key: k, policy: simPolicy(t, r, 1, born), dates: map[int]time.Time{1: born}, denied: map[int]time.Time{},
		failing: pick(r, 0, 0, 0, 0.1, 0.9), seen: happened{}, minute: int(born.Sub(w.born)/time.Minute) + 1,
	}
	if r.IntN(4) == 0 {
		s.key.Type = keytype.Ed25519
	}
	s.rules = newRulebook(s)
	return s
}

// run lets the year pass: from one time that the key has to be looked at, or somebody acts, to the next.
func (s *simulation) run() {
	act := s.minute
	for s.minute = s.weather.next(s.minute, s.weather.born); s.minute < year; {
		if s.now = s.weather.shows(s.minute); s.minute >= act {
			act = s.minute + s.r.IntN(60*24*60)
			s.act()
		}
		s.attend()
		wake := s.wake()
		s.rules.afterTick(s, wake)
		before := s.minute
		s.minute = s.weather.next(before, time.Time{})
		if !wake.IsZero() {
			s.minute = s.weather.next(before, wake)
		}
		if wake.IsZero() || s.minute > act {
			s.minute = s.weather.next(max(before, act-1), s.weather.born)
		}
		s.late = time.Duration(s.minute-before) * time.Minute
	}
}

// commit takes the next snapshot, as the engine does.
func (s *simulation) commit(what string, next lifecycle.Key) {
	s.seen[what]++
	before := s.key
	s.key = next.WithOldest(&s.policy, s.dates)
	s.rules.afterStep(s, what, before)
}

// attend does what the plan and the pending transitions say, one thing after another.
func (s *simulation) attend() {
	rotations := 0
	for steps := 0; ; steps++ {
		require.Less(s.t, steps, 400, "the tick does not come to an end")
		out := lifecycle.Plan(s.key, &s.policy, s.now)
		s.seen[string(out.Status)]++
		switch {
		case s.key.NeedsSuccessor() && s.succeed():
		case s.key.PostChecks(&s.policy).Pending():
			s.check()
		case out.ToRotate():
			if s.r.Float64() < s.failing {
				s.commit("failed", s.key.Failed("token removed", &s.policy, s.now))
				continue
			}
			rotations++
			require.LessOrEqual(s.t, rotations, 1, "one outage asked for a second rotation: %s", out.Why)
			s.rules.beforeRotation(s, out)
			s.rotate(out.Trigger, out.Slot)
		case !s.step():
			return
		}
	}
}

// rotate makes the next version, staged where the policy says so.
func (s *simulation) rotate(trigger lifecycle.Trigger, slot time.Time) {
	grow, what := s.key.Rotate, "by "+string(trigger)
	if s.policy.StagingTime.Duration > 0 && trigger != lifecycle.ByIncident {
		grow = s.key.Stage
		s.seen["staged"]++
	}
	next, err := grow(trigger, "", slot, s.now)
	require.NoError(s.t, err)
	s.dates[next.Latest] = s.now
	s.commit(what, next)
}

// succeed replaces an active version that was compromised.
func (s *simulation) succeed() bool {
	if s.policy.AdmitsVersion(s.key.Type, s.now) != nil {
		return false
	}
	if s.key.Successor() == 0 {
		s.rotate(lifecycle.ByIncident, time.Time{})
		return true
	}
	return s.apply(lifecycle.Promote, s.key.Staged, s.order(0)) == nil
}

// check runs the checks of the policy on the version that was promoted.
func (s *simulation) check() {
	if s.r.Float64() >= max(s.failing, 0.03) {
		s.commit("proved", s.key.PostChecks(nil).Passed())
		return
	}
	next, did := s.key.PostChecks(&s.policy).Failed("round_trip", s.order(0))
	if did.Op == "" {
		s.seen["nothing to roll back to"]++
	}
	s.commit("disproved", next)
}

func (s *simulation) order(v int) lifecycle.Order {
	o := lifecycle.Order{At: s.now, Rules: s.key.RulesFor(&s.policy), LastDenied: s.denied[v], Code: "key compromise"}
	if v == 0 {
		for _, at := range s.denied {
			if at.After(o.LastDenied) {
				o.LastDenied = at
			}
		}
	}
	return o
}

// step does the first pending transition that is due.
func (s *simulation) step() bool {
	for _, entry := range lifecycle.PendingTransitions(s.key, &s.policy, s.now) {
		if entry.At.After(s.now) {
			return false
		}
		if s.weather.frozen[s.minute] && entry.Irreversible() {
			s.seen["frozen"]++
			continue
		}
		quiet := s.order(0).Rules.QuietUntil(s.key.Overrides[entry.Version].At, s.denied[entry.Version])
		if entry.Op == lifecycle.Retire && s.now.Before(quiet) {
			s.seen["put off by a denial"]++
			s.key = s.key.PutOff(entry.Version, quiet)
			continue
		}
		if entry.Op == lifecycle.Promote {
			s.rules.beforePromotion(s)
		}
		require.NoError(s.t, s.apply(entry.Op, entry.Version, s.order(entry.Version)), "the agenda named it")
		return true
	}
	return false
}

func (s *simulation) apply(op lifecycle.Op, v int, o lifecycle.Order) error {
	next, _, err := s.key.Apply(op, v, o)
	if v == 0 {
		next, _, err = s.key.Apply(op, 0, o)
	}
	if err != nil {
		return err
	}
	if op == lifecycle.Promote {
		s.dates = maps.Clone(s.dates)
		s.dates[v] = s.now
	}
	s.commit(string(op), next)
	return nil
}

// wake is when the key has to be looked at again; zero: not by itself.
func (s *simulation) wake() time.Time {
	wake := lifecycle.Plan(s.key, &s.policy, s.now).Wake
	sooner := func(at time.Time) {
		if wake.IsZero() || at.Before(wake) {
			wake = at
		}
	}
	for _, entry := range lifecycle.PendingTransitions(s.key, &s.policy, s.now) {
		if s.weather.frozen[s.minute] && entry.Irreversible() && entry.At.Before(s.now.Add(3*time.Hour)) {
			entry.At = s.now.Add(3 * time.Hour)
		}
		sooner(entry.At)
	}
	if s.key.NeedsSuccessor() {
		sooner(s.now.Add(6 * time.Hour)) // each minute, in truth
	}
	return wake
}
