// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Use is what a caller wants of a version (SP 800-57 Part 1 Rev 5, section 5.3.3).
type Use int

// Protect applies protection (encrypt, wrap, sign, make a MAC); Process removes or checks it with a secret (decrypt, unwrap,
// check a MAC). Rewrap opens a ciphertext only to protect it anew: the way out of a compromised version, unless it was out of use
// before the report. Verify checks a signature, for which the public half is enough.
const (
	Protect Use = iota
	Process
	Rewrap
	Verify
)

// grant is an answer of the permission table.
type grant int

const (
	never      grant = iota
	always           // the state alone permits it
	pinned           // permitted to a caller who names the version, unless the rules of a policy forbid it
	byPolicy         // the rules in force say, unless it was locked when it was reported as compromised
	unlocked         // permitted unless it was locked then
	publicHalf       // permitted where the version has a public half for it, and was never reported as compromised
)

// permissions is the whole table state x use; nothing else decides what a version may do.
var permissions = [...][4]grant{
	NoState:     {Protect: never, Process: never, Rewrap: never, Verify: never},
	PreActive:   {Protect: never, Process: always, Rewrap: never, Verify: always},
	Active:      {Protect: always, Process: always, Rewrap: always, Verify: always},
	Deactivated: {Protect: pinned, Process: always, Rewrap: always, Verify: always},
	Suspended:   {Protect: never, Process: byPolicy, Rewrap: never, Verify: byPolicy},
	Archived:    {Protect: never, Process: never, Rewrap: never, Verify: publicHalf},
	Compromised: {Protect: never, Process: byPolicy, Rewrap: unlocked, Verify: byPolicy},
	Retired:     {Protect: never, Process: never, Rewrap: never, Verify: publicHalf},
	Destroyed:   {Protect: never, Process: never, Rewrap: never, Verify: publicHalf},
}

// Permissions say what the versions of a key may do under the rules in force. What a state refuses ends in a code of that
// state, [version_<state>] or [key_<state>], by which clients tell it apart: docs/data-plane.md lists them.
type Permissions struct {
	key   *Key
	rules policy.EffectiveRules
}

// Permissions returns what the key's versions may do under the rules.
func (k *Key) Permissions(t policy.EffectiveRules) *Permissions { return &Permissions{k, t} }

// permits answers from the table for version v, which is in the state.
func (p *Permissions) permits(use Use, v int, s State) bool {
	override, t := p.key.Overrides[v], p.rules
	switch permissions[s][use] {
	case always:
		return true
	case pinned:
		return t.PinnedEncrypt
	case byPolicy:
		return !override.Locked && s.processing(t)
	case unlocked:
		return !override.Locked
	case publicHalf:
		return VerifiesByPublicHalf(p.key, v) && !override.Compromise.reported() && !p.key.Status.IsDestroyed()
	default:
		return false
	}
}

// processing is what the rules in force say of the state.
func (s State) processing(t policy.EffectiveRules) bool {
	return s == Suspended && t.SuspendedProcessing || s == Compromised && t.CompromisedProcessing
}

// ToProtect returns the version that new protection uses: the primary for a request of 0, else the one asked for if
// the key's floors, its state and the rules in force permit. The error is [refusal.ErrInvalid] or [refusal.ErrRefused].
func (p *Permissions) ToProtect(requested int) (int, error) {
	return p.toProtect(requested, work{"encryption", "encrypt"})
}

// ToSign is ToProtect for a signature.
func (p *Permissions) ToSign(requested int) (int, error) {
	return p.toProtect(requested, work{"signing", "sign"})
}

// ToAuthenticate is ToProtect for a message authentication code (MAC).
func (p *Permissions) ToAuthenticate(requested int) (int, error) {
	return p.toProtect(requested, work{"authentication", "authenticate"})
}

// work is how a refusal calls what is done to protect.
type work struct{ noun, verb string }

func (p *Permissions) toProtect(requested int, w work) (int, error) {
	k := p.key
	v := requested
	switch {
	case v == 0:
		v = k.Primary
	case v < 0:
		return 0, refusal.Invalidf("requested version for %s is negative: key_version %d", w.noun, v)
	case v > k.Latest:
		return 0, refusal.Invalidf("requested version for %s is higher than the latest key version: key_version %d, latest %d", w.noun, v, k.Latest)
	case v < k.MinEncryption:
		return 0, refusal.Refusedf("requested version for %s is less than the minimum encryption key version: key_version %d, minimum %d", w.noun, v, k.MinEncryption)
	}
	if k.Status.State != Enabled {
		return 0, refusal.Refusedf("key %q cannot %s: the key as a whole is %s [key_%[3]s]", k.Name, w.verb, k.Status.State)
	}
	state := stateOf(k, v)
	if v < k.PrivateFrom && v > 0 {
		return 0, refusal.Refusedf("key_version %d never signs again: its private half was erased [version_%s]", v, state)
	}
	if state == Deactivated && k.Overrides[v].Lapsed {
		return 0, refusal.Refusedf("key_version %d never %ss again: it lapsed, or failed a check after its promotion [version_%s]", v, w.verb, state)
	}
	if p.permits(Protect, v, state) {
		return v, nil
	}
	return 0, w.refused(k, requested, v)
}

// refused says why version v, in its state, does not protect.
func (w work) refused(k *Key, requested, v int) error {
	state := stateOf(k, v)
	switch {
	case state == Deactivated:
		return refusal.Refusedf("key_version %d is %s and policy %q governs the key: only the active version %d may %s [version_%[2]s]", v, state, k.Policy, k.Primary, w.verb)
	case requested == 0 && v == 0:
		return refusal.Refusedf("key %q cannot %s: it has no active version; rotate it [version_%s]", k.Name, w.verb, state)
	case requested == 0:
		return refusal.Refusedf("key %q cannot %s: its version %d is %s [version_%[4]s]", k.Name, w.verb, v, state)
	}
	return refusal.Refusedf("no such key version: key_version %d is %s [version_%[2]s]", v, state)
}

// ToProcess reports whether version v may decrypt under the rules in force. The error is [refusal.ErrInvalid], [refusal.ErrRefused],
// or [refusal.ErrDenied] where the denied use counts against retiring the version.
func (p *Permissions) ToProcess(v int) error { return p.mayCheck(v, Process, "ciphertext") }

// ToVerifyMAC is ToProcess for a MAC.
func (p *Permissions) ToVerifyMAC(v int) error { return p.mayCheck(v, Process, "MAC") }

// ToRewrap reports whether a ciphertext of version v may be opened to protect it anew. The errors are those of
// ToProcess.
func (p *Permissions) ToRewrap(v int) error { return p.mayCheck(v, Rewrap, "ciphertext") }

// ToVerify reports whether a signature of version v may be verified. That of a version which is archived, retired or destroyed may, by
// the public half, which is no secret and stays: nothing that becomes of the private one takes it away, or brings it back. The errors
// are those of ToProcess.
func (p *Permissions) ToVerify(v int) error { return p.mayCheck(v, Verify, "signature") }

func (p *Permissions) mayCheck(v int, use Use, what string) error {
	k := p.key
	if v > k.Latest {
		return refusal.Invalidf("invalid %s: version is too new: version %d, latest %d", what, v, k.Latest)
	}
	state := stateOf(k, v)
	permitted := v >= k.MinDecryption && p.permits(use, v, state)
	switch {
	case state == NoState, state == Destroyed && !permitted:
		return refusal.Refusedf("ciphertext or signature version is disallowed by policy (too old): version %d is %s [version_%[2]s]", v, state)
	case k.Status.denies(use, p.rules):
		return refusal.Deniedf("ciphertext or signature version is disallowed by policy: key %q is %s [key_%[2]s]", k.Name, k.Status.State)
	case permitted:
		return nil
	default:
		return refusal.Deniedf("ciphertext or signature version is disallowed by policy (too old): version %d is %s [version_%[2]s]", v, state)
	}
}
