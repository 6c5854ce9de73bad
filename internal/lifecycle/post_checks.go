// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// PostChecks are what a policy has checked of the active version of a key after its promotion.
type PostChecks struct {
	key    Key
	policy *policy.Policy // nil: none governs the key
}

// PostChecks returns those of the active version. The policy is nil where none governs the key.
func (k Key) PostChecks(p *policy.Policy) PostChecks { return PostChecks{k, p} }

// Pending reports whether the active version was promoted and has still to pass the policy's checks.
func (c PostChecks) Pending() bool {
	k, p := c.key, c.policy
	return p != nil && len(p.PostChecks) > 0 && k.Rotation.ChecksPending && k.Status.State == Enabled && k.versionState(k.Primary) == Active
}

// DroppedIfNone returns the key without the note that its active version is still to be checked, where its policy asks for no
// checks: those that a later revision asks for are for what is promoted under it.
func (c PostChecks) DroppedIfNone() Key {
	k, p := c.key, c.policy
	if p == nil || len(p.PostChecks) == 0 {
		k.Rotation.ChecksPending = false
	}
	return k
}

// Passed returns the key whose active version passed the checks.
func (c PostChecks) Passed() Key {
	next := c.key
	next.Rotation.ChecksPending, next.Rotation.PriorFailures = false, 0
	return next
}

// Failed returns the key whose active version failed a check after its promotion (transition T3): the version before
// is active again, this one never protects again, and what made the rotation due does so anew, as after any failure.
// Where there is no version to go back to, the step is zero and this one stays active until the next attempt succeeds.
func (c PostChecks) Failed(cause string, o Order) (Key, Step) {
	k := c.key
	o.Rules.RollbackWindow, o.Rules.OriginatorPeriod = policy.Unlimited, 0 // whatever holds an operator back: this version is worse
	next, step, err := rollback(k, o)
	if err != nil {
		next, step = k, Step{}
	} else {
		d := draftOf(next)
		d.set(k.Primary, StateOverride{State: Deactivated, At: o.At, Lapsed: true})
		next = d.key
	}
	next.Rotation.Base, next.Rotation.Failures = k.Rotation.PriorBase, k.Rotation.PriorFailures
	next.Rotation.ChecksPending = false
	return next.Failed(cause, c.policy, o.At), step
}
