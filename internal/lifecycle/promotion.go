// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"time"
)

// This file is about promotions that failed before they came into force.

// succeeded returns the rotation after the promotion of a staged version: earlier attempts to promote it that failed are
// past, and are remembered in case its checks fail.
func (r Rotation) succeeded() Rotation {
	if r.Failures > 0 {
		r.Tried = r.Failures
	}
	r.Failures, r.LastError, r.FailedAt, r.RetryAt = 0, "", time.Time{}, time.Time{}
	return r
}

// unpromoted decides for a key whose staged version could not be promoted; the agenda tries again.
func (k Key) unpromoted(out Outlook, r rules) Outlook {
	out.failing = k.failing(r)
	out.Status, out.Next = out.failing, k.Rotation.Last.Add(k.TermsOf(r.policy).StagingTime)
	out.Why = fmt.Sprintf("version %d is staged, and the last of %d attempts to promote it failed: %s", k.Staged, k.Rotation.Failures, k.Rotation.LastError)
	return out
}

// Before returns the version that a rollback of the active one leads to; 0: there is none.
func (k Key) Before() int { return k.before(k.Primary) }
