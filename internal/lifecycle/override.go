// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "time"

// StateOverride is the state of a version that does not follow from its key's pointers and floors.
type StateOverride struct {
	State  State     // Deactivated (explicitly), Suspended, Archived, Compromised, Retired or Destroyed
	At     time.Time // since when
	Before State     // Retired: what restore leads back to. Suspended: the state before; NoState in a record of an earlier release

	DestroyAt       time.Time // Retired: when it is destroyed
	RetireNotBefore time.Time // Archived, Compromised: its quiet period, as far as it is known
	ArchiveAt       time.Time // Deactivated: archived then; zero: as the policy says. Suspended: kept for when it is resumed

	Locked bool      // Compromised: it could not process before, so nothing opens it until it is recovered
	Stored bool      // Compromised: it was archived before, so its material stays in the archive until it is recovered
	Ended  time.Time // Suspended: since when it is deactivated; zero: it was not, or the date of its successor tells
	Lapsed bool      // Deactivated: at the end of its originator-usage period, so it never protects again

	Compromise Compromise // zero unless the version was ever reported as compromised; never cleared
}

// Until is the date that the state has: a state has one at most. It is what records keep.
func (m StateOverride) Until() time.Time { return *m.until() }

// WithUntil returns the override with the date that its state has.
func (m StateOverride) WithUntil(at time.Time) StateOverride {
	*m.until() = at
	return m
}

func (m *StateOverride) until() *time.Time {
	switch m.State {
	case Retired:
		return &m.DestroyAt
	case Deactivated, Suspended:
		return &m.ArchiveAt
	default:
		return &m.RetireNotBefore
	}
}

// ArchiveTime is when a version that was recovered for a time is archived again; zero: it was not.
func (m StateOverride) ArchiveTime() time.Time {
	if m.State != Deactivated {
		return time.Time{}
	}
	return m.ArchiveAt
}

// FollowsFloor reports whether a floor that is moved past the version changes its state: nothing else holds it.
func (m StateOverride) FollowsFloor() bool { return m.State == NoState || m.State == Deactivated }

// inArchive reports whether the override keeps the material of its version in the archive.
func (m StateOverride) inArchive() bool {
	return m.State == Archived || m.Stored || m.State == Retired && m.Before == Archived
}

// CanOverride reports whether an override may hold the state: which versions are active and staged, the key's pointers say.
func CanOverride(s State) bool { return s != NoState && s != Active && s != PreActive }
