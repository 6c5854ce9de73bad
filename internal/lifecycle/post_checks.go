// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

// NeedsPostChecks reports whether the active version was promoted and has still to pass the policy's checks.
func (k Key) NeedsPostChecks(p *Policy) bool {
	return p != nil && len(p.PostChecks) > 0 && k.Rotation.ChecksPending && k.Status.State == Enabled && k.versionState(k.Primary) == Active
}

// WithoutPendingChecks returns the key without the note that its active version is still to be checked, where its policy asks for no
// checks: those that a later revision asks for are for what is promoted under it.
func (k Key) WithoutPendingChecks(p *Policy) Key {
	if p == nil || len(p.PostChecks) == 0 {
		k.Rotation.ChecksPending = false
	}
	return k
}

// WithChecksPassed returns the key whose active version passed the checks.
func (k Key) WithChecksPassed() Key {
	next := k
	next.Rotation.ChecksPending, next.Rotation.PriorFailures = false, 0
	return next
}

// WithChecksFailed returns the key whose active version failed a check after its promotion (transition T3): the version before
// is active again, this one never protects again, and what made the rotation due does so anew, as after any failure.
// Where there is no version to go back to, the step is zero and this one stays active until the next attempt succeeds.
func (k Key) WithChecksFailed(cause string, p *Policy, o Order) (Key, Step) {
	o.Rules.RollbackWindow, o.Rules.OriginatorPeriod = Unlimited, 0 // whatever holds an operator back: this version is worse
	next, step, err := k.Rollback(o)
	if err != nil {
		next, step = k, Step{}
	} else {
		next.setOverride(k.Primary, StateOverride{State: Deactivated, At: o.At, Lapsed: true})
	}
	next.Rotation.Base, next.Rotation.Failures = k.Rotation.PriorBase, k.Rotation.PriorFailures
	next.Rotation.ChecksPending = false
	return next.Failed(cause, p, o.At), step
}
