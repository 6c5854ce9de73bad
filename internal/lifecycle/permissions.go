// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

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
func (s State) permits(use Use, t policy.EffectiveRules, locked bool) bool {
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

// Permissions say what the versions of a key may do under the rules in force. What a state refuses ends in a code of that
// state, [version_<state>] or [key_<state>], by which clients tell it apart: docs/data-plane.md lists them.
type Permissions struct {
	key   Key
	rules policy.EffectiveRules
}

// Permissions returns what the key's versions may do under the rules.
func (k Key) Permissions(t policy.EffectiveRules) Permissions { return Permissions{k, t} }

// ToProtect returns the version that new protection uses: the primary for a request of 0, else the one asked for if
// the key's floors, its state and the rules in force permit. The error is [refusal.ErrInvalid] or [refusal.ErrRefused].
func (p Permissions) ToProtect(requested int) (int, error) {
	k := p.key
	v := requested
	switch {
	case v == 0:
		v = k.Primary
	case v < 0:
		return 0, refusal.Invalidf("requested version for encryption is negative: key_version %d", v)
	case v > k.Latest:
		return 0, refusal.Invalidf("requested version for encryption is higher than the latest key version: key_version %d, latest %d", v, k.Latest)
	case v < k.MinEncryption:
		return 0, refusal.Refusedf("requested version for encryption is less than the minimum encryption key version: key_version %d, minimum %d", v, k.MinEncryption)
	}
	if k.Status.State != Enabled {
		return 0, refusal.Refusedf("key %q cannot encrypt: the key as a whole is %s [key_%[2]s]", k.Name, k.Status.State)
	}
	state := k.State(v)
	if state == Deactivated && k.Overrides[v].Lapsed {
		return 0, refusal.Refusedf("key_version %d never encrypts again: it lapsed, or failed a check after its promotion [version_%s]", v, state)
	}
	if state.permits(Protect, p.rules, false) {
		return v, nil
	}
	return 0, protectsNot(k, requested, v, state)
}

// protectsNot says why version v, in its state, does not protect.
func protectsNot(k Key, requested, v int, state State) error {
	switch {
	case state == Deactivated:
		return refusal.Refusedf("key_version %d is %s and policy %q governs the key: only the active version %d may encrypt [version_%[2]s]", v, state, k.Policy, k.Primary)
	case requested == 0 && v == 0:
		return refusal.Refusedf("key %q cannot encrypt: it has no active version; rotate it [version_%s]", k.Name, state)
	case requested == 0:
		return refusal.Refusedf("key %q cannot encrypt: its version %d is %s [version_%[3]s]", k.Name, v, state)
	}
	return refusal.Refusedf("no such key version: key_version %d is %s [version_%[2]s]", v, state)
}

// ToProcess reports whether version v may decrypt under the rules in force. The error is [refusal.ErrInvalid], [refusal.ErrRefused],
// or [refusal.ErrDenied] where the denied use counts against retiring the version.
func (p Permissions) ToProcess(v int) error { return p.mayOpen(v, Process) }

// ToRewrap reports whether a ciphertext of version v may be opened to protect it anew. The errors are those of
// ToProcess.
func (p Permissions) ToRewrap(v int) error { return p.mayOpen(v, Rewrap) }

func (p Permissions) mayOpen(v int, use Use) error {
	k := p.key
	if v > k.Latest {
		return refusal.Invalidf("invalid ciphertext: version is too new: version %d, latest %d", v, k.Latest)
	}
	state := k.State(v)
	switch {
	case state == NoState, state == Destroyed:
		return refusal.Refusedf("ciphertext or signature version is disallowed by policy (too old): version %d is %s [version_%[2]s]", v, state)
	case k.Status.denies(use, p.rules):
		return refusal.Deniedf("ciphertext or signature version is disallowed by policy: key %q is %s [key_%[2]s]", k.Name, k.Status.State)
	case v >= k.MinDecryption && state.permits(use, p.rules, k.Overrides[v].Locked):
		return nil
	default:
		return refusal.Deniedf("ciphertext or signature version is disallowed by policy (too old): version %d is %s [version_%[2]s]", v, state)
	}
}
