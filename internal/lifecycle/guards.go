// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// guards hold what the tables cannot say of an operation on the key.
type guards struct {
	key   Key
	order Order
}

// check holds what concerns a row of the table on version v.
func (g guards) check(row edge, v int) error {
	override := g.key.Overrides[v]
	switch row.op {
	case Archive:
		return g.archive(v)
	case Recover:
		return g.recover(v)
	case Restore:
		if err := g.restore(override.DestroyAt); err != nil {
			return err
		}
		return g.staged(v, override)
	case Resume:
		return g.staged(v, override)
	case Retire:
		return g.retire(override.At, override.RetireNotBefore, row.from != PreActive)
	case Destroy:
		return g.destroy(override.DestroyAt)
	}
	return nil
}

// archive keeps enough readable versions. One that was recovered for a time is not among those that are kept. One
// below the floor counts as readable, as it is once the floor is lowered again.
func (g guards) archive(v int) error {
	k, kept := g.key, g.order.Rules.MinVersionsKept
	if !k.Overrides[v].ArchiveAt.IsZero() {
		return nil
	}
	floor := k.MinDecryption
	if v < floor {
		floor = 0
	}
	if readable := readableFrom(k, floor); readable-1 < kept {
		return refusal.Refusedf("version %d: min_versions_kept is %d and the key has %d readable versions", v, kept, readable)
	}
	return nil
}

// recover leaves to the floor what it archives. Of the compromised versions it is for those that are locked, and for
// good: the clock has no way to lock one again.
func (g guards) recover(v int) error {
	k := g.key
	override := k.Overrides[v]
	switch {
	case v < k.MinDecryption:
		return refusal.Refusedf("version %d is archived by the floor: lower min_decryption_version, which is %d, on keys/%s/config", v, k.MinDecryption, k.Name)
	case override.State != Compromised:
		return nil
	case !override.Locked:
		return refusal.Refusedf("version %d is compromised and not locked: recover needs archived or locked; possible now: retire", v)
	case !g.order.Until.IsZero():
		return refusal.Refusedf("time_limit: version %d is compromised, and is recovered for good: leave time_limit out", v)
	}
	return nil
}

// restore holds that what is past its time is gone, whether the clock has come to it or not. What a legal hold keeps
// from being destroyed can be restored for as long.
func (g guards) restore(destroyTime time.Time) error {
	if g.key.Hold || g.order.At.Before(destroyTime) {
		return nil
	}
	return refusal.Refusedf("destroy_time was %s", timeText(destroyTime))
}

// staged keeps a version that was staged from coming back where another is, or where it could not decrypt.
func (g guards) staged(v int, override StateOverride) error {
	k := g.key
	switch {
	case override.Before != PreActive, v == k.Staged:
		return nil
	case k.Staged != 0:
		return refusal.Refusedf("version %d was staged, and version %d is now", v, k.Staged)
	case v < k.MinDecryption:
		return refusal.Refusedf("version %d was staged and is below min_decryption_version, which is %d", v, k.MinDecryption)
	case v < k.MinEncryption:
		return refusal.Refusedf("version %d was staged and is below min_encryption_version, which is %d", v, k.MinEncryption)
	}
	return nil
}

// retire holds a retirement back under a legal hold, and until the quiet period is over: since the state began
// or the last use was denied, and not before a time that was set under an earlier revision of the policy.
func (g guards) retire(since, notBefore time.Time, needsQuiet bool) error {
	k, o := g.key, g.order
	switch {
	case k.Hold:
		return underHold(k.Name)
	case o.Behind != "": // it would be destroyed too soon, when the clock is right again
		return refusal.Refusedf("%s: nothing is retired until it has caught up, or is acknowledged on config/clock", o.Behind)
	}
	quiet := laterOf(o.Rules.QuietUntil(since, o.LastDenied), notBefore)
	if needsQuiet && o.At.Before(quiet) {
		return refusal.Refusedf("quiet_period is %s: without a denied use it is over at %s", schedule.DurationText(o.Rules.QuietPeriod), quiet.UTC().Format(time.RFC3339))
	}
	return nil
}

// destroy holds that the time has come, and no legal hold is in the way.
func (g guards) destroy(destroyTime time.Time) error {
	if g.key.Hold {
		return underHold(g.key.Name)
	}
	if destroyTime.IsZero() || g.order.At.Before(destroyTime) {
		return refusal.Refusedf("destroy_time is %s", destroyTime.UTC().Format(time.RFC3339))
	}
	return nil
}

// rollback holds the rollback window. The error is [refusal.ErrRefused].
func (g guards) rollback() error {
	window := g.order.Rules.RollbackWindow
	end := g.key.Rotation.Promoted.Add(window)
	switch {
	case window == 0:
		return refusal.Refusedf("rollback_window is 0: a promotion is not rolled back; rotate instead")
	case window != policy.Unlimited && g.order.At.After(end):
		return refusal.Refusedf("rollback_window of %s ended at %s", schedule.DurationText(window), timeText(end))
	}
	return nil
}

// readableFrom counts the versions from a floor on that decrypt by their own state, but for a staged one, with which
// nothing was encrypted, and those recovered only for a time.
func readableFrom(k Key, floor int) int {
	floor = max(floor, k.MinAvailable, k.DestroyedBelow, 1)
	n := k.Latest - floor + 1
	if k.Staged != 0 && k.versionState(k.Staged) == PreActive {
		n--
	}
	for v, override := range k.Overrides {
		if (override.State != Deactivated || !override.ArchiveAt.IsZero()) && v >= floor {
			n--
		}
	}
	return n
}

// underHold refuses what a legal hold does not let happen.
func underHold(key string) error {
	return refusal.Because(refusal.ByHold, refusal.Refusedf("key %q is under legal hold", key))
}
