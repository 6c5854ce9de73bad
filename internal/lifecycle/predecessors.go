// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "slices"

// This file is about which version a rollback leads to. Numbers do not tell: the version below may be one that was rolled
// back from, and a staged version may be promoted after one made later. So the key remembers which versions were active
// one after another; a rollback goes back along them.

// predecessorsKept bounds what a key remembers of the versions that were active.
const predecessorsKept = 8

// RollbackTarget returns the version that a rollback of the active one leads to; 0: there is none.
func (k Key) RollbackTarget() int { return k.rollbackTarget(k.Primary) }

// rollbackTarget returns the version that was active before v, the active one, or the one before that where it may not protect
// again; 0: there is none. Below the oldest that the key remembers, numbers have to tell: a record of an earlier release
// remembers none.
func (k Key) rollbackTarget(v int) int {
	oldest := v
	for _, a := range slices.Backward(k.Predecessors) {
		if k.mayReturn(a.Version) {
			return a.Version
		}
		oldest = min(oldest, a.Version)
	}
	for n := oldest - 1; n >= max(k.MinDecryption, k.MinEncryption, k.MinAvailable, k.DestroyedBelow, 1); n-- {
		if k.mayReturn(n) {
			return n
		}
	}
	return 0
}

// mayReturn reports whether version v is deactivated, is not below the floor of encryption, was never reported as
// compromised, has not lapsed and was not recovered only for a time.
func (k Key) mayReturn(v int) bool {
	override := k.Overrides[v]
	return k.versionState(v) == Deactivated && v >= k.MinEncryption && !override.Compromise.reported() && !override.Lapsed && override.ArchiveAt.IsZero()
}

// predecessors returns the predecessors of the version that follows the active one.
func (k Key) predecessors() []Predecessor {
	known := k.Predecessors
	if k.Primary == 0 {
		return known
	}
	known = known[max(0, len(known)-predecessorsKept+1):]
	return append(slices.Clip(known), Predecessor{k.Primary, k.protectsSince(k.Primary)})
}

// predecessorsOf returns the predecessors of a version that a rollback leads to.
func (k Key) predecessorsOf(v int) []Predecessor {
	if i := k.predecessorIndex(v); i > 0 {
		return k.Predecessors[:i]
	}
	return nil
}

// predecessorIndex returns where version v is among the predecessors of the active one; -1: nowhere.
func (k Key) predecessorIndex(v int) int {
	return slices.IndexFunc(k.Predecessors, func(a Predecessor) bool { return a.Version == v })
}
