// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

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
	switch {
	case k.State(v) == Destroyed:
		return Erased
	case k.Mark.State == KeyArchived, k.Mark.State == KeyRetired, k.Marks[v].inArchive():
		return InArchive
	default:
		return InUse
	}
}

// Displaced returns the versions whose material belongs elsewhere in next, from the first to the last of them; zero:
// none. Between the floors and the marks all versions belong in one place, so few are asked, however many there are.
func (k Key) Displaced(next Key) (r Range) {
	ask := func(v int) {
		if v < 1 || v > k.Latest || k.Placement(v) == next.Placement(v) {
			return
		}
		if r.From == 0 || v < r.From {
			r.From = v
		}
		r.To = max(r.To, v)
	}
	ask(1)
	ask(k.Latest)
	for _, floor := range []int{k.MinAvailable, k.DestroyedBelow, next.MinAvailable, next.DestroyedBelow} {
		ask(floor - 1)
		ask(floor)
	}
	for _, marks := range []map[int]Mark{k.Marks, next.Marks} {
		for v := range marks {
			ask(v - 1)
			ask(v)
			ask(v + 1)
		}
	}
	return r
}
