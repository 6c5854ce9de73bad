// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package census

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// tally is a count of keys that goes on.
type tally struct {
	keys     map[observe.TypeState]int
	versions map[lifecycle.State]int
	next     destructions

	// counted is what was counted of keys whose records may be others by now, as the outcome of a write is unknown; nil: nothing was.
	counted map[string]*Facts
}

func newTally() tally {
	return tally{keys: map[observe.TypeState]int{}, versions: map[lifecycle.State]int{}, counted: map[string]*Facts{}}
}

// change counts a key as it is now, and no more as it was; nil: there is, or was, none.
func (t *tally) change(name string, was, is *Facts) {
	if counted, doubtful := t.counted[name]; doubtful {
		was = counted
		delete(t.counted, name)
	}
	t.add(was, -1)
	t.add(is, 1)
	var at time.Time
	if is != nil {
		at = is.Destruction
	}
	t.next.set(name, at)
}

// doubt notes what was counted of a key that may be another one by now.
func (t *tally) doubt(name string, was *Facts) {
	if _, doubtful := t.counted[name]; !doubtful {
		t.counted[name] = was
	}
}

func (t *tally) add(f *Facts, n int) {
	if f == nil {
		return
	}
	t.keys[f.Kind] += n
	for state, count := range f.Versions {
		t.versions[state] += n * count
	}
}

// soonestKept bounds the keys of which the census knows when they are, or a version of them is, destroyed.
const soonestKept = 64

// Planned is a key that is destroyed, or of which a version is.
type Planned struct {
	Key string
	At  time.Time
}

// destructions are the planned destructions that come first.
type destructions struct {
	soonest []Planned // in order
	beyond  time.Time // others may be planned from then on; zero: there are none
}

// set says when the key comes to its next destruction; zero: it has none.
func (d *destructions) set(name string, at time.Time) {
	list := slices.DeleteFunc(slices.Clone(d.soonest), func(p Planned) bool { return p.Key == name })
	if !at.IsZero() {
		list = append(list, Planned{name, at})
		slices.SortFunc(list, func(a, b Planned) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Key, b.Key)) })
	}
	if len(list) > soonestKept {
		if left := list[soonestKept].At; d.beyond.IsZero() || left.Before(d.beyond) {
			d.beyond = left
		}
		list = slices.Clip(list[:soonestKept])
	}
	d.soonest = list
}

// first returns the first of them; the earliest that it can be where it is not known.
func (d *destructions) first() time.Time {
	if len(d.soonest) > 0 && (d.beyond.IsZero() || d.soonest[0].At.Before(d.beyond)) {
		return d.soonest[0].At
	}
	return d.beyond
}

// positive returns the counts above zero.
func positive[K comparable](counts map[K]int) map[K]int {
	counts = maps.Clone(counts)
	maps.DeleteFunc(counts, func(_ K, n int) bool { return n <= 0 })
	return counts
}
