// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"strconv"
)

// LastActs says which custody record began the act that last changed a version, so that nobody has to search the journal
// for it. A number is that of a record of the key's journal; 0 is none.
//
// It is bounded: what it can no longer hold of the oldest acts, Since says.
type LastActs struct {
	Since    int           // every act from this record on is here; 0: none is, an earlier release wrote the key
	Key      int           // the newest act that changed the state of the whole key
	Versions []VersionAct  // the newest acts that named versions, by version; shared, so never changed in place
	Floors   []FloorChange // the newest moves of min_decryption_version, the oldest first; shared, so never changed in place
	Trims    []FloorChange // those of min_available_version
}

// VersionAct is the newest act that named a version.
type VersionAct struct{ Version, Act int }

// FloorChange is an act that moved a floor.
type FloorChange struct{ Act, From, To int }

// What a key remembers of its acts at most, so that its record stays small.
const (
	versionActsKept  = 512
	floorChangesKept = 32
)

// moved reports whether the move changed what a version is.
func (c FloorChange) moved(version int) bool {
	return version >= min(c.From, c.To) && version < max(c.From, c.To)
}

// After returns what is known after one more act, which began with record act and made next of the key; before is zero
// where the act made the key.
func (l LastActs) After(act int, e Event, before, next Key) LastActs {
	if l.Since == 0 {
		l.Since = act
	}
	if len(e.Versions) == 0 && e.To != "" {
		l.Key = act
	}
	named := slices.Clone(e.Versions)
	for _, detail := range []string{superseded, successor} {
		if v, err := strconv.Atoi(e.Details[detail]); err == nil {
			named = append(named, v)
		}
	}
	if len(named) > 0 {
		l.name(act, named)
	}
	if before.ID != "" {
		l.Floors = l.withFloor(l.Floors, FloorChange{act, before.MinDecryption, next.MinDecryption})
		l.Trims = l.withFloor(l.Trims, FloorChange{act, before.MinAvailable, next.MinAvailable})
	}
	return l
}

// name notes the act for versions.
func (l *LastActs) name(act int, versions []int) {
	l.Versions = append(make([]VersionAct, 0, len(l.Versions)+len(versions)), l.Versions...)
	for _, v := range versions {
		i, found := l.find(v)
		if !found {
			l.Versions = slices.Insert(l.Versions, i, VersionAct{Version: v})
		}
		l.Versions[i].Act = act
	}
	for len(l.Versions) > versionActsKept {
		oldest := slices.MinFunc(l.Versions, func(a, b VersionAct) int { return a.Act - b.Act })
		l.Since = max(l.Since, oldest.Act+1)
		i, _ := l.find(oldest.Version)
		l.Versions = slices.Delete(l.Versions, i, i+1)
	}
}

func (l *LastActs) find(version int) (at int, found bool) {
	return slices.BinarySearchFunc(l.Versions, version, func(a VersionAct, v int) int { return a.Version - v })
}

// withFloor returns the moves of a floor with one more, if it is one.
func (l *LastActs) withFloor(list []FloorChange, c FloorChange) []FloorChange {
	if c.From == c.To {
		return list
	}
	list = append(slices.Clone(list), c)
	if len(list) > floorChangesKept {
		l.Since = max(l.Since, list[0].Act+1)
		list = list[1:]
	}
	return list
}

// LastActOf returns the record of the newest act that changed the version; 0: none that is known, and one before Since may
// have.
func LastActOf(k Key, version int) int {
	l, last := k.LastActs, 0
	if i, found := l.find(version); found {
		last = l.Versions[i].Act
	}
	last = max(last, lastMove(l.Trims, version))
	if k.IsDestroyed(version) { // what becomes of the key changes it no more
		return last
	}
	if k.Override(version).FollowsFloor() {
		last = max(last, lastMove(l.Floors, version))
	}
	return max(last, l.Key)
}

// lastMove returns the newest of the moves of a floor that changed the version.
func lastMove(moves []FloorChange, version int) int {
	for _, c := range slices.Backward(moves) {
		if c.moved(version) {
			return c.Act
		}
	}
	return 0
}
