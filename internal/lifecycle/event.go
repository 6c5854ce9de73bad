// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

// Event is what custody says of an act on a key.
type Event struct {
	Act            string // create, rotate, or the name of an operation; empty: not recorded
	Versions       []int
	From, To       string
	Reason         string
	Policy         string
	PolicyRevision int
	Details        map[string]string
}

// Commit is one act on a key: the key after it, what it made, and what custody says of it.
type Commit struct {
	Key     Key
	Version *Version // a new version; nil: none
	Event   Event
	Settle  Range // versions whose material has to move or go, after the commit
	Verify  bool  // the entry of the new version is read back before the commit, and has to be what was written
}

// Range is a run of versions; zero: none.
type Range struct{ From, To int }

// Of is the range of one version.
func Of(v int) Range { return Range{v, v} }

// All is the range of all versions of a key.
func (k Key) All() Range { return Range{1, k.Latest} }

// Placement says where the material of a version belongs.
type Placement int

// The placements.
const (
	InUse     Placement = iota
	InArchive           // sealed under the archive's key encryption key, apart from material in use
	Erased
)

// Placement returns where the material of version v belongs. Versions that only a floor archives stay where they are.
func (k Key) Placement(v int) Placement {
	own, mark := k.ownState(v), k.Marks[v]
	switch {
	case k.State(v) == Destroyed:
		return Erased
	case k.Mark.State == KeyArchived, k.Mark.State == KeyRetired:
		return InArchive
	case own == Archived && mark.State == Archived, own == Retired && mark.Before == Archived:
		return InArchive
	default:
		return InUse
	}
}
