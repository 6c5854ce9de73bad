// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package census

import "maps"

// drifting are the keys that do not meet their policies. They are remembered by name: that a key drifts follows from no record, so
// nobody can tell from a commit whether it was counted.
type drifting struct {
	keys  map[string]drift
	round int            // the number of the last one that has begun; 0: none has
	past  map[string]int // by policy, as a process before this one has found them: in force until a round ends
}

type drift struct {
	policy string
	round  int // in which it was found
}

// set notes what is known of a key; nil: there is none any more.
func (d *drifting) set(name string, f *Facts) {
	switch {
	case f == nil, f.Drift == Complies:
		delete(d.keys, name)
	case f.Drift == Drifts:
		d.keys[name] = drift{f.Policy, d.round}
	}
}

func (d *drifting) begin() { d.round++ }

// finish drops the keys that the round has not found any more.
func (d *drifting) finish() {
	d.past = nil
	maps.DeleteFunc(d.keys, func(_ string, found drift) bool { return found.round < d.round })
}

// byPolicy counts them.
func (d *drifting) byPolicy() map[string]int {
	if d.past != nil {
		return d.past
	}
	counts := map[string]int{}
	for _, found := range d.keys {
		counts[found.policy]++
	}
	return counts
}
