// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "time"

// This file says of a key what is counted of it. All of it follows from the record, whatever the time and the policy.

// VersionsByState returns how many versions of the key are in each state, those of which the number is all that is left among them.
func VersionsByState(k *Key) map[State]int {
	gone := min(max(k.MinAvailable, k.DestroyedBelow, 1)-1, k.Latest)
	archived := min(max(k.MinDecryption-1-gone, 0), k.Latest-gone)
	counts := map[State]int{}
	add := func(state State, n int) {
		if n != 0 {
			counts[k.Status.combinedWith(state)] += n
		}
	}
	add(Destroyed, gone)
	add(Archived, archived)
	add(Deactivated, k.Latest-gone-archived)
	correct := func(v int) {
		add(stateByFloors(k, v), -1)
		add(k.versionState(v), 1)
	}
	for v := range k.Overrides {
		if k.Exists(v) {
			correct(v)
		}
	}
	for _, v := range []int{k.Primary, k.Staged} {
		if _, overridden := k.Overrides[v]; !overridden && k.Exists(v) {
			correct(v)
		}
	}
	for state, n := range counts {
		if n == 0 {
			delete(counts, state)
		}
	}
	return counts
}

// NextDestruction returns when the key, or the first of its versions, is destroyed, if nobody intervenes; zero: nothing is planned.
func NextDestruction(k *Key) (next time.Time) {
	if k.Status.State == KeyRetired && !k.Hold {
		return k.Status.DestroyAt
	}
	plans := agenda{key: *k}
	for v, override := range k.Overrides {
		entry, ok := plans.fromOverride(v, override)
		if ok && entry.Op == Destroy && k.Status.admits(Destroy, override.State) && (next.IsZero() || entry.At.Before(next)) {
			next = entry.At
		}
	}
	return next
}
