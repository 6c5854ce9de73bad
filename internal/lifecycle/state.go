// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

// State is the state of one version of a key (SP 800-57 Part 1 Rev 5, section 7.2; KMIP 2.1, section 4.62). The zero
// State is no state: the version does not exist.
type State int

// The states. Their meaning is the permission table; how a version gets from one to another is the transition table.
const (
	NoState     State = iota
	PreActive         // staged: made and published, protects nothing yet
	Active            // protects and processes; exactly one version of an enabled key
	Deactivated       // superseded: processes, no longer protects
	Suspended         // stopped for the time being, by hand
	Archived          // out of use: denied, the denials counted; its material is kept apart
	Compromised       // known or suspected to others; for ever
	Retired           // to be destroyed at a set time, restorable until then
	Destroyed         // material erased; number, dates, fingerprint and custody remain
)

var stateNames = map[State]string{
	NoState: "none", PreActive: "pre_active", Active: "active", Deactivated: "deactivated", Suspended: "suspended",
	Archived: "archived", Compromised: "compromised", Retired: "retired", Destroyed: "destroyed",
}

func (s State) String() string { return stateNames[s] }

// States lists the states a version can be in, in the order of a life.
func States() []State {
	return []State{PreActive, Active, Deactivated, Suspended, Archived, Compromised, Retired, Destroyed}
}

// ParseState returns the state of that name; NoState for none.
func ParseState(name string) State {
	for state, known := range stateNames {
		if known == name {
			return state
		}
	}
	return NoState
}

// State returns the state of version v of the key. Most states follow from the key's pointers and floors, so that a
// rotation, or a floor moved over ten thousand versions, is one write; an override says what does not follow.
func (k Key) State(v int) State { return stateOf(&k, v) }

func stateOf(k *Key, v int) State { return k.Status.combinedWith(k.versionState(v)) }

// CountStates returns how many versions of the key are in which state.
func CountStates(k *Key) map[State]int {
	counts := map[State]int{}
	for v := 1; v <= k.Latest; v++ {
		counts[k.State(v)]++
	}
	return counts
}

// Exists reports whether the key has, or had, a version of the number.
func (k Key) Exists(v int) bool { return k.versionState(v) != NoState }

// IsDestroyed reports whether the version is destroyed by itself, so that what becomes of the key changes it no more.
func (k Key) IsDestroyed(v int) bool { return k.versionState(v) == Destroyed }

// IsActive reports whether version v is the active one and, with its key, not stopped.
func IsActive(k *Key, v int) bool { return k.State(v) == Active }

// WasActive reports whether version v is, or has been, more than staged.
func WasActive(k *Key, v int) bool { return k.State(v) != PreActive }

// IsStagedText reports whether a state, as custody names it, is that of a version that is staged.
func IsStagedText(state string) bool { return state == PreActive.String() }

// Override returns what of the version's state does not follow from the key's pointers and floors; zero: nothing.
func (k Key) Override(v int) StateOverride { return k.Overrides[v] }

// versionState is the state of a version without regard to that of the whole key.
func (k *Key) versionState(v int) State {
	override, marked := k.Overrides[v]
	switch {
	case v < 1, v > k.Latest:
		return NoState
	case v < k.MinAvailable, v < k.DestroyedBelow:
		return Destroyed
	case marked && (override.State != Deactivated || v >= k.MinDecryption):
		return override.State
	case v == k.Primary:
		return Active
	case v == k.Staged:
		return PreActive
	default:
		return stateByFloors(k, v)
	}
}

// stateByFloors is the state of a version that no pointer and no override names.
func stateByFloors(k *Key, v int) State {
	switch {
	case v < k.MinAvailable, v < k.DestroyedBelow:
		return Destroyed
	case v < k.MinDecryption:
		return Archived
	default:
		return Deactivated
	}
}
