// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"maps"
	"time"
)

// This file is about attempts to rotate or to promote that failed.

// succeeded returns the rotation after the promotion of a staged version: earlier attempts to promote it that failed are
// past, and are remembered in case its checks fail.
func (r Rotation) succeeded() Rotation {
	if r.Failures > 0 {
		r.Tried = r.Failures
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

// unpromoted decides for a key whose staged version could not be promoted; the agenda tries again.
func (k Key) unpromoted(out Outlook, r rules) Outlook {
	out.failing = k.failing(r)
	out.Status, out.Next = out.failing, k.Rotation.Last.Add(k.TermsOf(r.policy).StagingTime)
	out.Why = fmt.Sprintf("version %d is staged, and the last of %d attempts to promote it failed: %s", k.Staged, k.Rotation.Failures, k.Rotation.LastError)
	return out
}

// Successor returns the staged version where it can be promoted; 0: there is none, or it is stopped.
func (k Key) Successor() int {
	if k.ownState(k.Staged) != PreActive {
		return 0
	}
	return k.Staged
}

// inTheWay says of the staged version what makes room for another one.
func (k Key) inTheWay() string {
	if k.Successor() == 0 {
		return fmt.Sprintf("staged and %s: resume it, then promote or retire it", k.ownState(k.Staged))
	}
	return "staged: promote or retire it"
}

// released returns the key without the staged version that is stopped: an emergency does not wait for it. Resuming it
// stages it again.
func (k Key) released() Key {
	if k.Staged == 0 || k.Successor() != 0 {
		return k
	}
	mark := k.Marks[k.Staged]
	mark.Before = PreActive
	k.Marks = maps.Clone(k.Marks)
	k.mark(k.Staged, mark)
	k.Staged = 0
	return k
}
