// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package simulation_test lets sixty keys live through a year of outages, wrong clocks and failing storage.
package simulation_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// This file lets many keys live for a year on the real engine, with a clock that tests move: outages, clocks that
// jump, storage that fails, operators at work. What must hold is checked every day, from what a reader sees.

// regime is a policy and what an observer, who knows nothing of plans, may demand of its keys.
type regime struct {
	name       string
	fields     []any
	auto       bool
	period     time.Duration // between rotations; 0: by a cron schedule
	originator time.Duration
	open       func(berlin time.Time) bool // when the clock may rotate by schedule; nil: always
}

const day = 24 * time.Hour

var regimes = []regime{
	{
		name: "plain", auto: true, period: 30 * day, originator: 60 * day,
		fields: []any{"rotation_period", "30d", "rotation_jitter", "25%", "originator_period", "60d", "archive_after", "20d", "retire_after", "10d", "quiet_period", "5d", "destroy_delay", "7d"},
	},
	{
		name: "staged", auto: true, period: 20 * day, originator: 40 * day,
		fields: []any{"rotation_period", "20d", "rotation_jitter", "1d", "staging_time", "2d", "rollback_window", "1d", "originator_period", "40d", "archive_after", "30d"},
	},
	{
		name: "nightly", auto: true, originator: 20 * day, open: func(at time.Time) bool { return at.Hour() >= 2 && at.Hour() < 4 },
		fields: []any{
			"rotation_schedule", "30 2 * * 0", "rotation_zone", "Europe/Berlin", "rotation_jitter", "0",
			"rotation_window", "0 2 * * *", "rotation_window_length", "2h", "originator_period", "20d", "archive_after", "10d",
		},
	},
	{
		name: "weekend", auto: true, period: 14 * day, originator: 40 * day,
		open:   func(at time.Time) bool { return at.Weekday() == time.Saturday },
		fields: []any{"rotation_period", "14d", "rotation_zone", "Europe/Berlin", "rotation_window", "0 0 * * 6", "rotation_window_length", "24h", "originator_period", "40d"},
	},
	{
		name: "manual", originator: 90 * day,
		fields: []any{"rotation_mode", "manual", "rotation_period", "30d", "originator_period", "90d"},
	},
}

// seen is what the observer remembers of a key.
type seen struct {
	regime  *regime
	latest  int
	destroy map[int]time.Time // when its retired versions are to be destroyed
	gone    map[int]bool
	samples map[int]string
}

// world is the simulation. True time goes on steadily; the clock of the machine may be off.
type world struct {
	*mounttest.Mount
	chance  *rand.Rand
	berlin  *time.Location
	truth   time.Time
	off     time.Duration // of the clock
	healthy time.Time     // since when the engine runs undisturbed, in true time
	keys    map[string]*seen
	count   map[string]int // of what happened
}

func newWorld(t *testing.T, keys int) *world {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	w := &world{
		Mount: mounttest.New(t), chance: rand.New(rand.NewPCG(11, 5)), berlin: berlin, truth: mounttest.Start, healthy: mounttest.Start,
		keys: map[string]*seen{}, count: map[string]int{},
	}
	for i := range regimes {
		w.Must(w.Write("policies/"+regimes[i].name, append([]any{"owner", "o"}, regimes[i].fields...)...))
	}
	for i := range keys {
		r, name := &regimes[i%len(regimes)], fmt.Sprintf("k%04d", i)
		w.Must(w.Write("keys/"+name, "policy", r.name))
		w.keys[name] = &seen{regime: r, latest: 1, destroy: map[int]time.Time{}, gone: map[int]bool{}, samples: map[int]string{}}
	}
	return w
}

// pass lets time pass, with ticks or without.
func (w *world) pass(d, every time.Duration, ticking bool) {
	for end := w.truth.Add(d); w.truth.Before(end); {
		w.truth = w.truth.Add(every)
		w.Clock.Add(every)
		if ticking {
			w.watch(every)
			_ = w.Tick() // storage may be failing
		}
	}
}

// watch is what the clock guard sees in the ticks in between, which this world leaves out.
func (w *world) watch(since time.Duration) {
	const step = 10 * time.Minute
	ctx, repo := context.Background(), w.Storage.Store().Settings()
	clock, err := repo.Clock(ctx)
	if err != nil || since <= step {
		return
	}
	for at := w.Clock.Now().Add(step - since); at.Before(w.Clock.Now()); at = at.Add(step) {
		clock, _ = clock.Watch(at)
	}
	_ = repo.SetClock(ctx, clock)
}

// jump puts the clock of the machine off the truth.
func (w *world) jump(off time.Duration) {
	w.Clock.Add(off - w.off)
	w.off = off
}

// disturb is something that goes wrong for a while; the engine is not healthy before it is over.
func (w *world) disturb() {
	switch w.chance.IntN(12) {
	case 0:
		w.count["outage"]++
		before := w.versions()
		w.pass(time.Duration(1+w.chance.IntN(20*24))*time.Hour, time.Hour, false)
		w.Restart()
		w.pass(30*time.Minute, time.Minute, true)
		w.requireOneCatchUp(before)
	case 1:
		w.count["clock ahead"]++
		w.jump(time.Duration(1+w.chance.IntN(300)) * day)
		w.pass(time.Hour, 10*time.Minute, true)
		w.jump(0)
		w.pass(time.Hour, 10*time.Minute, true)
		w.Must(w.Write("config/clock", "acknowledge", true))
	case 2:
		w.count["clock behind"]++
		w.jump(-time.Duration(1+w.chance.IntN(72)) * time.Hour)
		w.pass(time.Hour, 10*time.Minute, true)
		w.jump(0)
	case 3:
		w.count["storage failing"]++
		w.Storage.FailWrites()
		w.pass(time.Duration(1+w.chance.IntN(5))*time.Hour, 10*time.Minute, true)
		w.Storage.Heal()
		w.Restart()
	case 4:
		w.count["looser"]++
		w.Must(w.Write("policies/plain", "quiet_period", fmt.Sprintf("%dd", 1+w.chance.IntN(9)), "destroy_delay", fmt.Sprintf("%dd", 1+w.chance.IntN(9))))
		return
	default:
		return
	}
	w.healthy = w.truth
}

func (w *world) versions() map[string]int {
	all := map[string]int{}
	for name := range w.keys {
		all[name] = w.key(name).Latest
	}
	return all
}

func (w *world) requireOneCatchUp(before map[string]int) {
	for name, latest := range before {
		most := latest + 1
		if w.keys[name].regime.period == 0 {
			most++ // the next time of the cron schedule may come right after
		}
		require.LessOrEqual(w.T, w.key(name).Latest, most, "%s after an outage", name)
	}
}

// work is what operators and applications do.
func (w *world) work() {
	for range 10 {
		name := fmt.Sprintf("k%04d", w.chance.IntN(len(w.keys)))
		switch w.chance.IntN(6) {
		case 0:
			w.Write("keys/"+name+"/rotate", "reason", "an operator at work")
		case 1:
			w.Write("keys/"+name+"/rollback", "reason", "an operator at work")
		default:
			got := w.Write("encrypt/"+name, "plaintext", mounttest.B64(name))
			if got.Status == 200 {
				ciphertext := got.Data["ciphertext"].(string)
				w.keys[name].samples[mounttest.VersionOf(ciphertext)] = ciphertext
			}
		}
	}
}

func (w *world) key(name string) lifecycle.Key {
	return w.Storage.Key(name)
}

// check demands of every key what must hold at any time.
func (w *world) check() {
	for name, s := range w.keys {
		k := w.key(name)
		w.checkVersions(name, k, s)
		w.checkActive(name, k, s)
		if k.Latest > s.latest && k.Rotation.Trigger == lifecycle.BySchedule {
			w.checkSchedule(name, k, s)
		}
		if k.Latest > s.latest && k.Rotation.Trigger == lifecycle.ByClock {
			w.count["made up for a wrong clock"]++
		}
		s.latest = k.Latest
	}
}

// checkVersions: numbers only grow, what is destroyed stays so, and is destroyed no sooner than was said.
func (w *world) checkVersions(name string, k lifecycle.Key, s *seen) {
	require.GreaterOrEqual(w.T, k.Latest, s.latest, name)
	active := 0
	for v := 1; v <= k.Latest; v++ {
		switch state := k.State(v); state {
		case lifecycle.Active:
			active++
		case lifecycle.Retired:
			at := k.Overrides[v].DestroyAt
			if known, ok := s.destroy[v]; ok {
				require.Equal(w.T, known, at, "%s version %d: no policy moves what runs", name, v)
			}
			s.destroy[v] = at
		case lifecycle.Destroyed:
			if !s.gone[v] {
				w.count["destroyed"]++
				require.Contains(w.T, s.destroy, v, "%s version %d was never retired", name, v)
				require.False(w.T, w.truth.Before(s.destroy[v].Add(-day)), "%s version %d was to be destroyed at %s", name, v, s.destroy[v])
			}
			s.gone[v] = true
		case lifecycle.Archived:
			w.count["archived"]++
		default:
		}
		require.False(w.T, s.gone[v] && k.State(v) != lifecycle.Destroyed, "%s version %d came back", name, v)
	}
	require.LessOrEqual(w.T, active, 1, name)
	require.True(w.T, active == 1 || !s.regime.auto, "%s has no active version", name)
}

// checkActive: nothing is in use past its originator period where the engine could do something about it.
func (w *world) checkActive(name string, k lifecycle.Key, s *seen) {
	if k.Primary == 0 {
		w.count["lapsed"]++
		return
	}
	if w.truth.Sub(w.healthy) > 5*time.Hour && w.off == 0 {
		age := w.Clock.Now().Sub(k.Rotation.Promoted)
		// The sweep finds such keys, 32 with a tick, and ticks are rare here; what is made then is staged for two days.
		require.False(w.T, age < -time.Hour && w.truth.Sub(w.healthy) > 4*day, "%s (%s) has a version of the future", name, s.regime.name)
		require.LessOrEqual(w.T, age, s.regime.originator+3*time.Hour, "%s (%s) has been active since %s", name, s.regime.name, k.Rotation.Promoted)
	}
}

// checkSchedule: what the schedule asked for happened in the window, and no later than jitter and outages explain.
func (w *world) checkSchedule(name string, k lifecycle.Key, s *seen) {
	w.count[s.regime.name+" by schedule"]++
	at := k.Rotation.Last
	if at.After(w.truth) { // by a clock that is ahead
		return
	}
	if s.regime.open != nil {
		require.True(w.T, s.regime.open(at.In(w.berlin)), "%s (%s) rotated at %s", name, s.regime.name, at.In(w.berlin))
	} else if w.healthy.Before(at.Add(-s.regime.period)) && w.off == 0 {
		require.LessOrEqual(w.T, at.Sub(k.Rotation.Base), s.regime.period/4+3*time.Hour, "%s: jitter", name)
	}
	if _, offset := at.In(w.berlin).Zone(); offset == 2*60*60 {
		w.count["in summer time"]++
	}
}

// open tries every ciphertext: it opens, or the state of its version says why not.
func (w *world) open() {
	for name, s := range w.keys {
		k := w.key(name)
		for v, ciphertext := range s.samples {
			got := w.Write("decrypt/"+name, "ciphertext", ciphertext)
			if lifecycle.CanOverride(k.State(v)) && k.State(v) != lifecycle.Deactivated {
				require.Equal(w.T, 400, got.Status, "%s version %d", name, v)
				w.count["refused"]++
				continue
			}
			require.Equal(w.T, mounttest.B64(name), got.Data["plaintext"], "%s version %d is %s: %s", name, v, k.State(v), got.Err)
			w.count["opened"]++
		}
	}
}

func TestKeysLiveThroughAYearOnTheEngine(t *testing.T) {
	t.Parallel()
	keys, length := 60, 365*day
	if racetest.Watched(t) {
		keys, length = 10, 10*day // the plain run is the year
	}
	w := newWorld(t, keys)
	for end := mounttest.Start.Add(length); w.truth.Before(end); {
		w.pass(day, 2*time.Hour, true)
		w.work()
		w.check()
		w.disturb()
	}
	w.pass(2*time.Hour, 10*time.Minute, true)
	w.check()
	w.open()
	t.Log(w.count)
	if racetest.Watched(t) {
		return
	}
	for _, what := range []string{
		"outage", "clock ahead", "clock behind", "storage failing", "looser", "archived", "destroyed", "lapsed", "opened", "refused",
		"made up for a wrong clock", "plain by schedule", "staged by schedule", "nightly by schedule", "weekend by schedule", "in summer time",
	} {
		require.Positive(t, w.count[what], "%s never happened: %v", what, w.count)
	}
}
