// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"math"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file moves the pointers of a key: which version is the latest, the active and the staged one.

// Rotate returns the key with a new active version, the old one deactivated (transitions T1 and T2 in one step).
// The next one is counted from slot: for a scheduled rotation that is a point of the schedule, however late it ran, so
// that lateness never adds up; zero starts anew from at. The error is [refusal.ErrRefused].
func (k Key) Rotate(trigger Trigger, reason string, slot, at time.Time) (Key, error) {
	if trigger == ByIncident {
		k = withoutStoppedStaged(k)
	}
	next, err := withNewVersion(k, trigger, reason, slot, at)
	if err != nil {
		return k, err
	}
	d := draftOf(next)
	d.supersede(at, k.Primary == k.Latest)
	next = d.key
	if err := k.Overrides.checkRoom(next.Overrides, k.Name, false); err != nil && trigger != ByIncident {
		return k, err
	}
	next.Primary = next.Latest
	next.Predecessors = predecessors(k)
	next.Rotation.Promoted, next.Rotation.ChecksPending = at, true
	return next, nil
}

// Stage returns the key with a new pre-active version (transition T1); see [Key.Rotate]. The error is [refusal.ErrRefused].
func (k Key) Stage(trigger Trigger, reason string, slot, at time.Time) (Key, error) {
	next, err := withNewVersion(k, trigger, reason, slot, at)
	if err != nil {
		return k, err
	}
	next.Staged = next.Latest
	next.Rotation.Promoted = k.Rotation.Promoted
	return next, nil
}

// withNewVersion returns the key with one version more.
func withNewVersion(k Key, trigger Trigger, reason string, slot, at time.Time) (Key, error) {
	switch {
	case k.Status.State != Enabled:
		return k, refusal.Refusedf("key %q is %s: it gets no new versions", k.Name, k.Status.State)
	case k.Staged != 0:
		return k, refusal.Refusedf("version %d of key %q is %s first", k.Staged, k.Name, stagedBlocker(k))
	case !k.permits(trigger):
		return k, errNoRotation(k)
	case k.Latest >= math.MaxInt32:
		return k, refusal.Refusedf("key %q has version %d, and no number is left for another one: make a new key", k.Name, k.Latest)
	}
	next := k
	next.Latest++
	next.Imported = trigger == ByImport
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
