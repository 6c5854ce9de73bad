// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package census

import (
	"maps"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// SaveEvery is how often a census is stored. What was committed after, the next process does not know of before a round of its own
// has come to its end.
const SaveEvery = time.Hour

// earlyKept bounds the commits that are remembered until it is known what was stored.
const earlyKept = 10_000

// Snapshot is what is stored of a census, for the next process to begin with.
type Snapshot struct {
	At       time.Time // the end of the last whole round
	Saved    time.Time // when it was stored; zero: it never was
	Keys     map[observe.TypeState]int
	Versions map[lifecycle.State]int
	Drifting map[string]int // by policy
	Soonest  []Planned
	Beyond   time.Time // other destructions may be planned from then on; zero: there are none
}

// stored is how the census stands to what is stored of it.
type stored struct {
	loaded bool
	saved  time.Time
	early  []func(*tally) // changes before it was loaded
}

func (s *stored) changed(change func(*tally)) {
	if !s.loaded && len(s.early) <= earlyKept {
		s.early = append(s.early, change)
	}
}

// Loaded reports whether the census knows what was stored.
func (c *Census) Loaded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stored.loaded
}

// Load begins with what was stored, and with what was committed since this process began. Where a round has come to its end before,
// the census knows better.
func (c *Census) Load(s Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	early := c.stored.early
	c.stored = stored{loaded: true, saved: s.Saved}
	if !c.at.IsZero() || s.At.IsZero() || len(early) > earlyKept {
		return
	}
	c.at = s.At
	c.total = newTally()
	maps.Copy(c.total.keys, s.Keys)
	maps.Copy(c.total.versions, s.Versions)
	c.total.next = destructions{slices.Clone(s.Soonest), s.Beyond}
	c.drifting.past = s.Drifting
	for _, change := range early {
		change(&c.total)
	}
}

// ToSave returns what is to be stored now; ok is false where nothing is.
func (c *Census) ToSave(now time.Time) (s Snapshot, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := now.Sub(c.stored.saved)
	if !c.stored.loaded || c.at.IsZero() || since >= 0 && since < SaveEvery { // less than nothing: a clock was ahead
		return s, false
	}
	return Snapshot{
		At: c.at, Saved: now, Keys: positive(c.total.keys), Versions: positive(c.total.versions), Drifting: top(c.drifting.byPolicy()),
		Soonest: c.total.next.soonest, Beyond: c.total.next.beyond,
	}, true
}

// Saved tells that a snapshot was stored.
func (c *Census) Saved(s Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stored.saved = s.Saved
}

// Shown returns what the board has of the census; zero, but for the maps, where no round has come to its end.
func (c *Census) Shown() observe.Census {
	c.mu.Lock()
	defer c.mu.Unlock()
	shown := observe.Census{At: c.at, Keys: map[observe.TypeState]int{}, Versions: map[string]int{}, Drifting: map[string]int{}}
	if c.at.IsZero() {
		return shown
	}
	shown.Keys = positive(c.total.keys)
	for state, n := range positive(c.total.versions) {
		shown.Versions[state.String()] = n
	}
	shown.Drifting, shown.NextDestruction = top(c.drifting.byPolicy()), c.total.next.first()
	return shown
}

// top returns the counts of the largest policies; the others are one.
func top(counts map[string]int) map[string]int {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if d := counts[b] - counts[a]; d != 0 {
			return d
		}
		if a < b {
			return -1
		}
		return 1
	})
	top := map[string]int{}
	for i, name := range names {
		if i >= observe.MaxPolicies {
			name = observe.Other
		}
		top[name] += counts[names[i]]
	}
	return top
}
