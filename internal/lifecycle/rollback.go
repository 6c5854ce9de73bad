// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file is about which version a rollback leads to. Numbers do not tell: the version below may be one that was rolled
// back from, and a staged version may be promoted after one made later. So the key remembers which versions were active
// one after another; a rollback goes back along them.

// predecessorsKept bounds what a key remembers of the versions that were active.
const predecessorsKept = 8

// rollback returns the key with the version that was active before the active one active again, and that one
// deactivated (transition T3). The window is that of the version rolled back from, since it became active first. The error
// is [refusal.ErrRefused].
func rollback(k Key, o Order) (Key, Step, error) {
	from := k.Primary
	to := rollbackTarget(k, from)
	switch {
	case k.Status.State != Enabled:
		return k, Step{}, refusal.Refusedf("key %q is %s: rollback needs enabled", k.Name, k.Status.State)
	case from == 0 || k.State(from) != Active:
		return k, Step{}, refusal.Refusedf("key %q has no active version to roll back from", k.Name)
	case to == 0:
		return k, Step{}, refusal.Refusedf("key %q has no deactivated version before version %d to roll back to%s", k.Name, from, encryptionFloor(k))
	}
	if err := (guards{k, o}).rollback(); err != nil {
		return k, Step{}, err
	}
	if end := protectsSince(k, to).Add(o.Rules.OriginatorPeriod); o.Rules.OriginatorPeriod > 0 && !o.At.Before(end) {
		return k, Step{}, refusal.Refusedf("originator_period of version %d, before version %d, ended at %s: rotate instead", to, from, timeText(end))
	}
	d := draftOf(k)
	d.promote(to, o.At)
	next := d.key
	next.Predecessors = predecessorsOf(k, to)
	if since := protectsSince(k, to); since.Before(o.At) { // else a clock that was ahead has dated it
		next.Rotation.Promoted = since
	}
	next.Revision = after(k.Revision)
	return next, Step{ID: "T3", Op: Rollback, Version: to, From: Deactivated.String(), To: Active.String()}, nil
}

// encryptionFloor names the floor below which no version becomes active, where there is one.
func encryptionFloor(k Key) string {
	if k.MinEncryption <= 1 {
		return ""
	}
	return fmt.Sprintf(", from min_encryption_version on, which is %d", k.MinEncryption)
}

// RollbackTarget returns the version that a rollback of the active one leads to; 0: there is none.
func (k Key) RollbackTarget() int { return rollbackTarget(k, k.Primary) }

// rollbackTarget returns the version that was active before v, the active one, or the one before that where it may not protect
// again; 0: there is none. Below the oldest that the key remembers, numbers have to tell: a record of an earlier release
// remembers none.
func rollbackTarget(k Key, v int) int {
	oldest := v
	for _, a := range slices.Backward(k.Predecessors) {
		if mayReturn(k, a.Version) {
			return a.Version
		}
		oldest = min(oldest, a.Version)
	}
	for n := oldest - 1; n >= max(k.MinDecryption, k.MinEncryption, k.MinAvailable, k.DestroyedBelow, k.PrivateFrom, 1); n-- {
		if mayReturn(k, n) {
			return n
		}
	}
	return 0
}

// mayReturn reports whether version v is deactivated, is not below the floor of encryption, has its private half, was never reported as
// compromised, has not lapsed and was not recovered only for a time.
func mayReturn(k Key, v int) bool {
	override := k.Overrides[v]
	return k.versionState(v) == Deactivated && v >= max(k.MinEncryption, k.PrivateFrom) && !override.Compromise.reported() && !override.Lapsed && override.ArchiveAt.IsZero()
}

// predecessors returns the predecessors of the version that follows the active one.
func predecessors(k Key) []Predecessor {
	known := k.Predecessors
	if k.Primary == 0 {
		return known
	}
	known = known[max(0, len(known)-predecessorsKept+1):]
	return append(slices.Clip(known), Predecessor{k.Primary, protectsSince(k, k.Primary)})
}

// predecessorsOf returns the predecessors of a version that a rollback leads to.
func predecessorsOf(k Key, v int) []Predecessor {
	if i := predecessorIndex(k, v); i > 0 {
		return k.Predecessors[:i]
	}
	return nil
}

// predecessorIndex returns where version v is among the predecessors of the active one; -1: nowhere.
func predecessorIndex(k Key, v int) int {
	return slices.IndexFunc(k.Predecessors, func(a Predecessor) bool { return a.Version == v })
}
