// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// This file moves the pointers of a key: which version is the latest, the active and the staged one.

// Rotate returns the key with a new active version, the old one deactivated (transitions T1 and T2 in one step).
// The next one is counted from slot: for a scheduled rotation that is a point of the schedule, however late it ran, so
// that lateness never adds up; zero starts anew from at. The error is [ErrRefused].
func (k Key) Rotate(trigger Trigger, reason string, slot, at time.Time) (Key, error) {
	if trigger == ByIncident {
		k = k.withoutStoppedStaged()
	}
	next, err := k.withNewVersion(trigger, reason, slot, at)
	if err != nil {
		return k, err
	}
	next.supersede(at, k.Primary == k.Latest)
	if err := k.checkOverrides(next, false); err != nil && trigger != ByIncident {
		return k, err
	}
	next.Primary = next.Latest
	next.Predecessors = k.predecessors()
	next.Rotation.Promoted, next.Rotation.ChecksPending = at, true
	return next, nil
}

// Stage returns the key with a new pre-active version (transition T1); see [Key.Rotate]. The error is [ErrRefused].
func (k Key) Stage(trigger Trigger, reason string, slot, at time.Time) (Key, error) {
	next, err := k.withNewVersion(trigger, reason, slot, at)
	if err != nil {
		return k, err
	}
	next.Staged = next.Latest
	next.Rotation.Promoted = k.Rotation.Promoted
	return next, nil
}

// withNewVersion returns the key with one version more.
func (k Key) withNewVersion(trigger Trigger, reason string, slot, at time.Time) (Key, error) {
	switch {
	case k.Status.State != Enabled:
		return k, Refusedf("key %q is %s: it gets no new versions", k.Name, k.Status.State)
	case k.Staged != 0:
		return k, Refusedf("version %d of key %q is %s first", k.Staged, k.Name, k.stagedBlocker())
	case k.Latest >= math.MaxInt32:
		return k, Refusedf("key %q has version %d, and no number is left for another one: make a new key", k.Name, k.Latest)
	}
	next := k
	next.Latest++
	next.Recent = append(slices.Clip(k.Recent), at)
	was := k.Rotation
	next.Rotation = Rotation{
		Base: at, Last: at, Trigger: trigger, Reason: reason,
		Exhausted: was.Exhausted, ExhaustedAt: was.ExhaustedAt, ExhaustedBy: was.ExhaustedBy, ChecksPending: was.ChecksPending, PriorBase: was.Base, PriorFailures: was.Failures,
	}
	if !slot.IsZero() {
		next.Rotation.Base = slot
	}
	next.Revision = after(k.Revision)
	return next, nil
}

// Rollback returns the key with the version that was active before the active one active again, and that one
// deactivated (transition T3). The window is that of the version rolled back from, since it became active first. The error
// is [ErrRefused].
func (k Key) Rollback(o Order) (Key, Step, error) {
	from := k.Primary
	to := k.rollbackTarget(from)
	switch {
	case k.Status.State != Enabled:
		return k, Step{}, Refusedf("key %q is %s: rollback needs enabled", k.Name, k.Status.State)
	case from == 0 || k.State(from) != Active:
		return k, Step{}, Refusedf("key %q has no active version to roll back from", k.Name)
	case to == 0:
		return k, Step{}, Refusedf("key %q has no deactivated version before version %d to roll back to%s", k.Name, from, k.encryptionFloor())
	}
	if err := k.guardRollback(o); err != nil {
		return k, Step{}, err
	}
	if end := k.protectsSince(to).Add(o.Rules.OriginatorPeriod); o.Rules.OriginatorPeriod > 0 && !o.At.Before(end) {
		return k, Step{}, Refusedf("originator_period of version %d, before version %d, ended at %s: rotate instead", to, from, timeText(end))
	}
	next := k
	next.Overrides = maps.Clone(k.Overrides)
	next.promote(to, o.At)
	next.Predecessors = k.predecessorsOf(to)
	if since := k.protectsSince(to); since.Before(o.At) { // else a clock that was ahead has dated it
		next.Rotation.Promoted = since
	}
	next.Revision = after(k.Revision)
	return next, Step{ID: "T3", Op: Rollback, Version: to, From: Deactivated.String(), To: Active.String()}, nil
}

// encryptionFloor names the floor below which no version becomes active, where there is one.
func (k Key) encryptionFloor() string {
	if k.MinEncryption <= 1 {
		return ""
	}
	return fmt.Sprintf(", from min_encryption_version on, which is %d", k.MinEncryption)
}

// guardRollback holds the rollback window. The error is [ErrRefused].
func (k Key) guardRollback(o Order) error {
	window := o.Rules.RollbackWindow
	end := k.Rotation.Promoted.Add(window)
	switch {
	case window == 0:
		return Refusedf("rollback_window is 0: a promotion is not rolled back; rotate instead")
	case window != Unlimited && o.At.After(end):
		return Refusedf("rollback_window of %s ended at %s", window, timeText(end))
	}
	return nil
}

// ApplyToKey returns the key after an operation on it as a whole. The error is [ErrRefused].
func (k Key) ApplyToKey(op Op, o Order) (Key, Step, error) {
	to, err := findKey(op, k)
	if err != nil {
		return k, Step{}, err
	}
	next := k
	next.Status = KeyStatus{State: to, At: o.At}
	next.Status.Before = k.Status.Before
	switch op {
	case Archive:
		next.Status.RetireNotBefore, next.Status.Before = o.At.Add(o.Rules.QuietPeriod), k.Status.State
	case Restore:
		err = k.guardRestore(k.Status.DestroyAt, o.At)
		next.Status.RetireNotBefore = o.At.Add(o.Rules.QuietPeriod)
	case Recover:
		next.Status.Before = Enabled
	case Retire:
		err = k.guardRetire(o, k.Status.At, k.Status.RetireNotBefore, true)
		next.Status.DestroyAt = o.At.Add(o.Rules.DestroyDelay)
	case Destroy:
		err = k.guardDestroy(k.Status.DestroyAt, o.At)
	}
	if err != nil {
		return k, Step{}, err
	}
	next.Revision = after(k.Revision)
	return next, Step{Op: op, From: k.Status.State.String(), To: to.String()}, nil
}

// WithHold returns the key with the legal hold set or lifted.
func (k Key) WithHold(on bool) Key {
	if k.Hold == on {
		return k
	}
	next := k
	next.Hold = on
	next.Revision = after(k.Revision)
	return next
}

// Trim returns the key with the versions below floor destroyed, by Transit's rules. The error is [ErrInvalid] or
// [ErrRefused].
func (k Key) Trim(floor int) (Key, error) {
	switch {
	case k.Policy != "":
		return k, Refusedf("key %q is governed by policy %q and its versions are not destroyed at once; archive and retire them on keys/%s/versions", k.Name, k.Policy, k.Name)
	case k.Hold:
		return k, Refusedf("key %q is under legal hold", k.Name)
	case floor < 1 || floor < k.MinAvailable:
		return k, Invalidf("min_available_version: %d: must be at least 1 and not below the one in force, which is %d", floor, k.MinAvailable)
	case k.MinEncryption == 0:
		return k, Invalidf("min_available_version: %d: min_encryption_version must be set first", floor)
	case floor > k.Latest || floor > k.MinDecryption || floor > k.MinEncryption:
		return k, Invalidf("min_available_version: %d: must be at most min_decryption_version (%d), min_encryption_version (%d) and the latest version (%d)", floor, k.MinDecryption, k.MinEncryption, k.Latest)
	case floor == k.MinAvailable:
		return k, nil
	}
	next := k
	next.MinAvailable = floor
	next.Overrides = maps.Clone(k.Overrides)
	maps.DeleteFunc(next.Overrides, func(v int, m StateOverride) bool { return v < floor && !m.Compromise.reported() })
	next.Revision = after(k.Revision)
	return next, nil
}

// CheckDelete reports whether the key may be destroyed at once, as Transit's DELETE does. The error is [ErrRefused].
func (k Key) CheckDelete() error {
	switch {
	case k.Policy != "" && k.Status.State == KeyDestroyed:
		return Refusedf("key %q is destroyed; to give its name again, detach it from policy %q on keys/%s/config and delete it then", k.Name, k.Policy, k.Name)
	case k.Policy != "":
		return Refusedf("key %q is governed by policy %q and is not destroyed at once; archive and retire it on keys/%s/archive and keys/%s/retire", k.Name, k.Policy, k.Name, k.Name)
	case k.Hold:
		return Refusedf("key %q is under legal hold", k.Name)
	case !k.DeletionAllowed:
		return Refusedf("deletion is not allowed for key %q; set deletion_allowed on keys/%s/config first", k.Name, k.Name)
	}
	return nil
}
