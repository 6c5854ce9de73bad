// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "time"

// This file bounds the marks of a key, and with them its record. What is the same for many versions is stored once. Reports
// of compromise are never cleared and never held back, so where there are many they share a mark.

const (
	// most bounds what the marks of a key weigh.
	most = 2048
	// reserve is what the clock leaves of it to acts by hand.
	reserve = 64
	// Alone is how many versions may be in states of their own before those that are alike share a mark.
	Alone = most / 2
	// Crowd is how many may be at all.
	Crowd = 16_384
)

// weight is what the marks come to: one for each that is like no other, two with a report.
func (k Key) weight() (w int) {
	seen := make(map[Mark]bool, len(k.Marks))
	for _, mark := range k.Marks {
		if seen[mark] {
			continue
		}
		seen[mark] = true
		w++
		if mark.Compromise.reported() {
			w++
		}
	}
	return w
}

// checkMarks holds the bounds. Where the record is full already, what needs no more room goes on; so does what is urgent, as
// far as the record takes another version at all.
func (k Key) checkMarks(next Key, urgent bool) error {
	switch {
	case len(next.Marks) <= Alone:
		return nil
	case len(next.Marks) > max(Crowd, len(k.Marks)):
		return Refusedf("key %q has %d versions in states of their own, the most that its record holds; suspend or archive the key as a whole", k.Name, Crowd)
	case urgent || next.weight() <= max(most, k.weight()):
		return nil
	}
	return Refusedf("key %q has %d versions in states of their own, the most a key may have; destroy or trim old ones", k.Name, most)
}

// roomFor reports whether the clock may give version v a mark: acts by hand still fit into the record afterwards.
func (k Key) roomFor(v int) bool {
	_, marked := k.Marks[v]
	return marked || len(k.Marks) < Alone-reserve || len(k.Marks) < Crowd-reserve && k.weight() < most-reserve
}

// share lets the versions that are reported, or suspended, in the same way have one mark once there are many: with the
// latest of their dates, so that no period is shortened, and the earliest time of what happened. Custody keeps what was
// said of each. The key's marks are its own already.
func (k *Key) share() {
	if len(k.Marks) <= Alone {
		return
	}
	shared := map[Mark]Mark{}
	for _, mark := range k.Marks {
		if mark.shares() {
			like := mark.undated()
			shared[like] = mark.with(shared[like])
		}
	}
	for v, mark := range k.Marks {
		if mark.shares() {
			k.Marks[v] = shared[mark.undated()]
		}
	}
}

// shares reports whether the mark is of the kind that nothing holds back. A retired version keeps its own time to be
// destroyed.
func (m Mark) shares() bool {
	return m.State == Suspended || m.Compromise.reported() && m.State != Retired
}

// dates are those of the mark.
func (m *Mark) dates() []*time.Time {
	return []*time.Time{&m.At, &m.Until, &m.Ended, &m.Compromise.Reported, &m.Compromise.Occurred}
}

// undated is the mark with no more of its dates than which it has.
func (m Mark) undated() Mark {
	for _, at := range m.dates() {
		if !at.IsZero() {
			*at = time.Unix(0, 0).UTC()
		}
	}
	return m
}

// with returns the mark with the later dates of both, and the earlier time of what happened; o may be zero.
func (m Mark) with(o Mark) Mark {
	occurred := m.Compromise.Occurred
	if before := o.Compromise.Occurred; !before.IsZero() && before.Before(occurred) {
		occurred = before
	}
	theirs := o.dates()
	for i, at := range m.dates() {
		*at = laterOf(*at, *theirs[i])
	}
	m.Compromise.Occurred = occurred
	return m
}
