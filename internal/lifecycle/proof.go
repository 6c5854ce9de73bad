// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

// ToCheck reports whether the active version was promoted and has still to pass the policy's checks.
func (k Key) ToCheck(p *Policy) bool {
	return p != nil && len(p.PostChecks) > 0 && k.Rotation.Unchecked && k.Mark.State == Enabled && k.ownState(k.Primary) == Active
}

// Unasked returns the key without the note that its active version is still to be checked, where its policy asks for no
// checks: those that a later revision asks for are for what is promoted under it.
func (k Key) Unasked(p *Policy) Key {
	if p == nil || len(p.PostChecks) == 0 {
		k.Rotation.Unchecked = false
	}
	return k
}

// Proved returns the key whose active version passed the checks.
func (k Key) Proved() Key {
	next := k
	next.Rotation.Unchecked, next.Rotation.Tried = false, 0
	return next
}

// Disproved returns the key whose active version failed a check after its promotion (transition T3): the version before
// is active again, this one never protects again, and what made the rotation due does so anew, as after any failure.
// Where there is no version to go back to, the step is zero and this one stays active until the next attempt succeeds.
func (k Key) Disproved(cause string, p *Policy, o Order) (Key, Step) {
	o.Terms.RollbackWindow, o.Terms.OriginatorPeriod = Unlimited, 0 // whatever holds an operator back: this version is worse
	next, step, err := k.RolledBack(o)
	if err != nil {
		next, step = k, Step{}
	} else {
		next.mark(k.Primary, Mark{State: Deactivated, At: o.At, Lapsed: true})
	}
	next.Rotation.Since, next.Rotation.Failures = k.Rotation.Previous, k.Rotation.Tried
	next.Rotation.Unchecked = false
	return next.Failed(cause, p, o.At), step
}
