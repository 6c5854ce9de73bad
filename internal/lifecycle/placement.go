// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

// Range is a run of versions; zero: none.
type Range struct{ From, To int }

// Of is the range of one version.
func Of(v int) Range { return Range{v, v} }

// All is the range of all versions of a key.
func (k Key) All() Range { return Range{1, k.Latest} }

// MaterialLocation says where the material of a version belongs.
type MaterialLocation int

// The placements.
const (
	InUse     MaterialLocation = iota
	InArchive                  // sealed under the archive's key encryption key, apart from material in use
	Erased
)

// MaterialLocation returns where the material of version v belongs. Versions that only a floor archives stay where they are.
func (k Key) MaterialLocation(v int) MaterialLocation {
	switch {
	case k.State(v) == Destroyed:
		return Erased
	case k.Status.State == KeyArchived, k.Status.State == KeyRetired, k.Overrides[v].inArchive():
		return InArchive
	default:
		return InUse
	}
}

// Displaced returns the versions whose material belongs elsewhere in next, from the first to the last of them; zero:
// none. Between the floors and the overrides all versions belong in one place, so few are asked, however many there are.
func (k Key) Displaced(next Key) (r Range) {
	ask := func(v int) {
		if v < 1 || v > k.Latest || k.MaterialLocation(v) == next.MaterialLocation(v) {
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
	for _, overrides := range []map[int]StateOverride{k.Overrides, next.Overrides} {
		for v := range overrides {
			ask(v - 1)
			ask(v)
			ask(v + 1)
		}
	}
	return r
}
