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

// Use is what a caller wants of a version (SP 800-57 Part 1 Rev 5, section 5.3.3).
type Use int

// Protect applies protection (encrypt, wrap); Process removes or checks it (decrypt, unwrap). Rewrap opens a ciphertext
// only to protect it anew: the way out of a compromised version, unless it was out of use before the report.
const (
	Protect Use = iota
	Process
	Rewrap
)

// grant is an answer of the permission table.
type grant int

const (
	never    grant = iota
	always         // the state alone permits it
	pinned         // permitted to a caller who names the version, unless the rules of a policy forbid it
	byPolicy       // the rules in force say, unless it was locked when it was reported as compromised
	unlocked       // permitted unless it was locked then
)

// permissions is the whole table state x use; nothing else decides what a version may do.
var permissions = map[State]map[Use]grant{
	NoState:     {Protect: never, Process: never, Rewrap: never},
	PreActive:   {Protect: never, Process: always, Rewrap: never},
	Active:      {Protect: always, Process: always, Rewrap: always},
	Deactivated: {Protect: pinned, Process: always, Rewrap: always},
	Suspended:   {Protect: never, Process: byPolicy, Rewrap: never},
	Archived:    {Protect: never, Process: never, Rewrap: never},
	Compromised: {Protect: never, Process: byPolicy, Rewrap: unlocked},
	Retired:     {Protect: never, Process: never, Rewrap: never},
	Destroyed:   {Protect: never, Process: never, Rewrap: never},
}

// permits answers from the table, under the rules in force.
func (s State) permits(use Use, t EffectiveRules, locked bool) bool {
	switch permissions[s][use] {
	case always:
		return true
	case pinned:
		return t.PinnedEncrypt
	case byPolicy:
		return !locked && ((s == Suspended && t.SuspendedProcessing) || (s == Compromised && t.CompromisedProcessing))
	case unlocked:
		return !locked
	default:
		return false
	}
}

// State returns the state of version v of the key. Most states follow from the key's pointers and floors, so that a
// rotation, or a floor moved over ten thousand versions, is one write; an override says what does not follow.
func (k Key) State(v int) State {
	return k.Status.combinedWith(k.versionState(v))
}

// Exists reports whether the key has, or had, a version of the number.
func (k Key) Exists(v int) bool { return k.versionState(v) != NoState }

// IsDestroyed reports whether the version is destroyed by itself, so that what becomes of the key changes it no more.
func (k Key) IsDestroyed(v int) bool { return k.versionState(v) == Destroyed }

// versionState is the state of a version without regard to that of the whole key.
func (k Key) versionState(v int) State {
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
	case v < k.MinDecryption:
		return Archived
	default:
		return Deactivated
	}
}

// ToProtect returns the version that new protection uses: the primary for a request of 0, else the one asked for if
// the key's floors, its state and the rules in force permit. The error is [ErrInvalid] or [ErrRefused].
func (k Key) ToProtect(requested int, t EffectiveRules) (int, error) {
	v := requested
	switch {
	case v == 0:
		v = k.Primary
	case v < 0:
		return 0, Invalidf("requested version for encryption is negative: key_version %d", v)
	case v > k.Latest:
		return 0, Invalidf("requested version for encryption is higher than the latest key version: key_version %d, latest %d", v, k.Latest)
	case v < k.MinEncryption:
		return 0, Refusedf("requested version for encryption is less than the minimum encryption key version: key_version %d, minimum %d", v, k.MinEncryption)
	}
	if k.Status.State != Enabled {
		return 0, Refusedf("key %q cannot encrypt: the key as a whole is %s", k.Name, k.Status.State)
	}
	state := k.State(v)
	if state == Deactivated && k.Overrides[v].Lapsed {
		return 0, Refusedf("key_version %d never encrypts again: it lapsed, or failed a check after its promotion", v)
	}
	if state.permits(Protect, t, false) {
		return v, nil
	}
	return 0, k.protectsNot(requested, v, state)
}

// protectsNot says why version v, in its state, does not protect.
func (k Key) protectsNot(requested, v int, state State) error {
	switch {
	case state == Deactivated:
		return Refusedf("key_version %d is %s and policy %q governs the key: only the active version %d may encrypt", v, state, k.Policy, k.Primary)
	case requested == 0 && v == 0:
		return Refusedf("key %q cannot encrypt: it has no active version; rotate it", k.Name)
	case requested == 0:
		return Refusedf("key %q cannot encrypt: its version %d is %s", k.Name, v, state)
	}
	return Refusedf("no such key version: key_version %d is %s", v, state)
}

// ToProcess reports whether version v may decrypt under the rules in force. The error is [ErrInvalid], [ErrRefused],
// or [ErrDenied] where the denied use counts against retiring the version.
func (k Key) ToProcess(v int, t EffectiveRules) error { return k.mayOpen(v, Process, t) }

// ToRewrap reports whether a ciphertext of version v may be opened to protect it anew. The errors are those of
// ToProcess.
func (k Key) ToRewrap(v int, t EffectiveRules) error { return k.mayOpen(v, Rewrap, t) }

func (k Key) mayOpen(v int, use Use, t EffectiveRules) error {
	if v > k.Latest {
		return Invalidf("invalid ciphertext: version is too new: version %d, latest %d", v, k.Latest)
	}
	state := k.State(v)
	switch {
	case state == NoState, state == Destroyed:
		return Refusedf("ciphertext or signature version is disallowed by policy (too old): version %d is %s", v, state)
	case k.Status.denies(use, t):
		return deniedf("ciphertext or signature version is disallowed by policy: key %q is %s", k.Name, k.Status.State)
	case v >= k.MinDecryption && state.permits(use, t, k.Overrides[v].Locked):
		return nil
	default:
		return deniedf("ciphertext or signature version is disallowed by policy (too old): version %d is %s", v, state)
	}
}
