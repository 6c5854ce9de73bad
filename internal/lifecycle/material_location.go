// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

// Range is a run of versions; zero: none.
type Range struct{ From, To int }

// Of is the range of one version.
func Of(v int) Range { return Range{v, v} }

// All is the range of all versions of a key.
func All(k Key) Range { return Range{1, k.Latest} }

// MaterialLocation says where the material of a version belongs.
type MaterialLocation int

// The placements.
const (
	InUse     MaterialLocation = iota
	InArchive                  // sealed under the archive's key encryption key, apart from material in use
	Erased
)

// LocationOf returns where the material of version v belongs. Versions that only a floor archives stay where they are.
func LocationOf(k Key, v int) MaterialLocation {
	switch {
	case k.State(v) == Destroyed:
		return Erased
	case k.Status.State == KeyArchived, k.Status.State == KeyRetired, k.Overrides[v].inArchive():
		return InArchive
	default:
		return InUse
	}
}

// KeepsPrivate reports whether the material of version v is to have its private half still.
func KeepsPrivate(k Key, v int) bool { return v >= k.PrivateFrom }

// Displaced returns the versions of the key whose material belongs elsewhere in next, or loses its private half, from the first to the last of them; zero:
// none. Between the floors and the overrides all versions belong in one place, so few are asked, however many there are.
func Displaced(k, next Key) (r Range) {
	ask := func(v int) {
		if v < 1 || v > k.Latest || LocationOf(k, v) == LocationOf(next, v) && (KeepsPrivate(k, v) == KeepsPrivate(next, v) || LocationOf(k, v) == Erased) {
			return
		}
		if r.From == 0 || v < r.From {
			r.From = v
		}
		r.To = max(r.To, v)
	}
	ask(1)
	ask(k.Latest)
	for _, floor := range []int{k.MinAvailable, k.DestroyedBelow, k.PrivateFrom, next.MinAvailable, next.DestroyedBelow, next.PrivateFrom} {
		ask(floor - 1)
		ask(floor)
	}
	for _, overrides := range []Overrides{k.Overrides, next.Overrides} {
		for v := range overrides {
			ask(v - 1)
			ask(v)
			ask(v + 1)
		}
	}
	return r
}

// DisplacedAtFirst returns the versions of a new key whose material is to be moved once the key is there: a restored key begins with all
// of it in use.
func DisplacedAtFirst(k Key) (r Range) {
	for v := range k.Overrides {
		if LocationOf(k, v) != InArchive {
			continue
		}
		if r.From == 0 || v < r.From {
			r.From = v
		}
		r.To = max(r.To, v)
	}
	return r
}
