// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// This file is about when the active version began to protect, and until when it should.

// originatorEnd returns when the active version should stop to protect; zero: nothing says so.
func originatorEnd(k Key, p *policy.Policy) time.Time {
	if p == nil || p.OriginatorUsage() == 0 || k.Primary == 0 || k.versionState(k.Primary) != Active {
		return time.Time{}
	}
	return protectsSince(k, k.Primary).Add(p.OriginatorUsage())
}

// ActiveSince returns when the active version became active first; zero: there is none.
func ActiveSince(k *Key) time.Time {
	if k.Primary == 0 {
		return time.Time{}
	}
	return protectsSince(*k, k.Primary)
}

// protectsSince returns when the version, active or before the active one, became active first: its originator period
// does not begin anew with a rollback.
func protectsSince(k Key, v int) time.Time {
	if i := predecessorIndex(k, v); i >= 0 {
		return k.Predecessors[i].Since
	}
	if i := len(k.Recent) - 1 - (k.Latest - v); v != k.Latest && i >= 0 && k.Recent[i].Before(k.Rotation.Promoted) {
		return k.Recent[i]
	}
	return k.Rotation.Promoted
}

// Ahead reports whether its dates lie in the future: a clock that was ahead wrote them, unless it is this one that is behind.
func (r Rotation) Ahead(now time.Time) bool {
	return laterOf(laterOf(r.Base, r.Promoted), r.Last).After(now.Add(mayLag))
}
