// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"time"
)

// This file is about attempts to rotate or to promote that failed.

// succeeded returns the rotation after the promotion of a staged version: earlier attempts to promote it that failed are
// past, and are remembered in case its checks fail.
func (r Rotation) succeeded() Rotation {
	if r.Failures > 0 {
		r.PriorFailures = r.Failures
	}
	r.Failures, r.LastError, r.FailedAt, r.RetryAt = 0, "", time.Time{}, time.Time{}
	return r
}

// retryAt returns before when no automatic attempt is made; zero: nothing waits. A failed attempt from the future is one by
// a clock since put right, and nothing waits for it.
func (r Rotation) retryAt(now time.Time) time.Time {
	if r.Failures == 0 || (!now.IsZero() && now.Before(r.FailedAt)) {
		return time.Time{}
	}
	return r.RetryAt
}

// promotionFailing decides for a key whose staged version could not be promoted; the pending transitions try again.
func (p planner) promotionFailing(out RotationPlan) RotationPlan {
	k := p.key
	out.failing = p.failing()
	out.Status, out.Next = out.failing, k.Rotation.Last.Add(k.RulesFor(p.rules.policy).StagingTime)
	out.Why = fmt.Sprintf("version %d is staged, and the last of %d attempts to promote it failed: %s", k.Staged, k.Rotation.Failures, k.Rotation.LastError)
	return out
}

// Successor returns the staged version where it can be promoted; 0: there is none, or it is stopped.
func (k Key) Successor() int {
	if k.versionState(k.Staged) != PreActive {
		return 0
	}
	return k.Staged
}

// stagedBlocker says of the staged version what makes room for another one.
func stagedBlocker(k Key) string {
	if k.Successor() == 0 {
		return fmt.Sprintf("staged and %s: resume it, then promote or retire it", k.versionState(k.Staged))
	}
	return "staged: promote or retire it"
}

// withoutStoppedStaged returns the key without the staged version that is stopped: an emergency does not wait for it. Resuming it
// stages it again.
func withoutStoppedStaged(k Key) Key {
	if k.Staged == 0 || k.Successor() != 0 {
		return k
	}
	override := k.Overrides[k.Staged]
	override.Before = PreActive
	d := draftOf(k)
	d.set(k.Staged, override)
	d.key.Staged = 0
	return d.key
}

// NeedsSuccessor reports an enabled key whose active version was reported as compromised and not replaced (transition
// T14): because no version could be made then, or because the key was not enabled. It may have been retired since.
func (k Key) NeedsSuccessor() bool {
	return k.Status.State == Enabled && k.Overrides[k.Primary].Compromise.reported()
}
