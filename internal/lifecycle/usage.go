// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Exhausted returns the key with the note that its active version reached a usage limit, where by, which is what it would
// have come to, is above one. The plan rotates it, or a pending transition stops it, as the policy says.
func (k Key) Exhausted(by policy.Usage, l policy.Limits, at time.Time) Key {
	if k.Primary == 0 || exhausted(k, l) || !l.Exceeded(by) {
		return k
	}
	next := k
	next.Rotation.Exhausted, next.Rotation.ExhaustedAt, next.Rotation.ExhaustedBy = k.Primary, at, by
	return next
}

// exhausted reports whether the active version reached a usage limit, and one that is in force: since it was noted, the
// limits may have been raised.
func exhausted(k Key, l policy.Limits) bool {
	return k.Primary != 0 && k.Rotation.Exhausted == k.Primary && l.Exceeded(k.Rotation.ExhaustedBy)
}
