// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file is about private signature keys, which are destroyed when they sign never again, while their public halves go on
// verifying (SP 800-57 Part 1 Rev 5, sections 5.3.4 and 5.3.6). The state of their versions stays as it is.

// erasable returns below which version the private halves are to be erased, and when: the clock does it once no rollback can make one
// of them active again. 0: nothing is to be erased.
func erasable(k Key, t policy.EffectiveRules) (below int, at time.Time) {
	if !t.ErasePrivateKey || k.Hold || k.Derived {
		return 0, time.Time{}
	}
	from := max(k.PrivateFrom, k.DestroyedBelow, k.MinAvailable, 1)
	if below = min(mayBecomeActive(k), TypesOf(&k).firstNot(from, signsOnly)); below <= from {
		return 0, time.Time{}
	}
	if at = signedLast(k, t); at.IsZero() {
		return 0, at
	}
	return below, at
}

// signsOnly reports whether the private half of a version of the type is for nothing but to sign: what verifies does without.
func signsOnly(t keytype.Type) bool {
	return t.SupportsSigning() && t.IsAsymmetric() && !t.SupportsEncryption()
}

// mayBeErased reports whether the private halves of the versions below one were for nothing but to sign.
func mayBeErased(k Key, below int) bool {
	return !k.Derived && TypesOf(&k).firstNot(max(k.DestroyedBelow, k.MinAvailable, 1), signsOnly) >= below
}

// mayBecomeActive returns the oldest version that is active or may become it by another way than a rollback: the active one, one that
// is staged, and one that was staged and comes back by an operator.
func mayBecomeActive(k Key) int {
	oldest := k.Latest + 1
	for _, v := range []int{k.Primary, k.Staged} {
		if v > 0 {
			oldest = min(oldest, v)
		}
	}
	for v, override := range k.Overrides {
		if override.Before == PreActive {
			oldest = min(oldest, v)
		}
	}
	return oldest
}

// signedLast returns since when no rollback leads to a version before the active one; zero: it always may. Where there is no active
// version, that is since it lapsed.
func signedLast(k Key, t policy.EffectiveRules) (at time.Time) {
	if k.Primary == 0 {
		for _, override := range k.Overrides {
			if override.Lapsed {
				at = laterOf(at, override.At)
			}
		}
		return at
	}
	target := rollbackTarget(k, k.Primary)
	if target == 0 {
		return k.Rotation.Promoted
	}
	if t.RollbackWindow != policy.Unlimited {
		at = k.Rotation.Promoted.Add(t.RollbackWindow)
	}
	if t.OriginatorPeriod > 0 {
		if end := protectsSince(k, target).Add(t.OriginatorPeriod); at.IsZero() || end.Before(at) {
			at = laterOf(end, k.Rotation.Promoted)
		}
	}
	return at
}

// erasePrivate returns the key whose versions that sign never again have no private half. The error is [refusal.ErrRefused].
func erasePrivate(k Key, o Order) (Key, Step, error) {
	below, at := erasable(k, o.Rules)
	switch {
	case below == 0:
		return k, Step{}, refusal.Refusedf("key %q has no private halves to erase", k.Name)
	case o.At.Before(at):
		return k, Step{}, refusal.Refusedf("versions before version %d of key %q may be rolled back to until %s", below, k.Name, timeText(at))
	}
	next := k
	next.PrivateFrom = below
	next.Revision = after(k.Revision)
	return next, Step{Op: ErasePrivate}, nil
}
