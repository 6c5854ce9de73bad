// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file bounds the overrides of a key, and with them its record. What is the same for many versions is stored once. Reports
// of compromise are never cleared and never held back, so where there are many they share an override.

const (
	// most bounds what the overrides of a key weigh.
	most = policy.MostVersionsKept
	// reserve is what the clock leaves of it to acts by hand.
	reserve = 64
	// Alone is how many versions may be in states of their own before those that are alike share an override.
	Alone = most / 2
	// Crowd is how many may be at all.
	Crowd = 16_384
)

// Overrides are the states of versions, by their numbers, that do not follow from the key's pointers and floors. They are
// shared between snapshots of a key, so never changed in place but in a draft.
type Overrides map[int]StateOverride

// weight is what the overrides come to: one for each that is like no other, two with a report.
func (o Overrides) weight() (w int) {
	seen := make(map[StateOverride]bool, len(o))
	for _, override := range o {
		if seen[override] {
			continue
		}
		seen[override] = true
		w++
		if override.Compromise.reported() {
			w++
		}
	}
	return w
}

// checkRoom holds the bounds. Where the record is full already, what needs no more room goes on; so does what is urgent, as
// far as the record takes another version at all.
func (o Overrides) checkRoom(next Overrides, key string, urgent bool) error {
	switch {
	case len(next) <= Alone:
		return nil
	case len(next) > max(Crowd, len(o)):
		return refusal.Refusedf("key %q has %d versions in states of their own, the most that its record holds; suspend or archive the key as a whole", key, Crowd)
	case urgent || next.weight() <= max(most, o.weight()):
		return nil
	}
	return refusal.Refusedf("key %q has %d versions in states of their own, the most a key may have; destroy or trim old ones", key, most)
}

// roomFor reports whether the clock may give version v an override: acts by hand still fit into the record afterwards.
func (o Overrides) roomFor(v int) bool {
	_, there := o[v]
	return there || len(o) < Alone-reserve || len(o) < Crowd-reserve && o.weight() < most-reserve
}

// share lets the versions that are reported, or suspended, in the same way have one override once there are many: with the
// latest of their dates, so that no period is shortened, and the earliest time of what happened. Custody keeps what was
// said of each. The overrides are a draft's.
func (o Overrides) share() {
	if len(o) <= Alone {
		return
	}
	alike := map[StateOverride]StateOverride{}
	for _, override := range o {
		if override.shares() {
			like := override.undated()
			alike[like] = override.combined(alike[like])
		}
	}
	for v, override := range o {
		if override.shares() {
			o[v] = alike[override.undated()]
		}
	}
}

// shares reports whether the override is of the kind that nothing holds back. A retired version keeps its own time to be
// destroyed.
func (m StateOverride) shares() bool {
	return m.State == Suspended || m.Compromise.reported() && m.State != Retired
}

// dates are those of the override.
func (m *StateOverride) dates() []*time.Time {
	return []*time.Time{&m.At, &m.DestroyAt, &m.RetireNotBefore, &m.ArchiveAt, &m.Ended, &m.Compromise.Reported, &m.Compromise.Occurred}
}

// undated is the override with no more of its dates than which it has.
func (m StateOverride) undated() StateOverride {
	for _, at := range m.dates() {
		if !at.IsZero() {
			*at = time.Unix(0, 0).UTC()
		}
	}
	return m
}

// combined returns the override with the later dates of both, and the earlier time of what happened; o may be zero.
func (m StateOverride) combined(o StateOverride) StateOverride {
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
