// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// This file is about what becomes of a version that is resumed (transition T7). Its periods ran on while it was suspended,
// so it is what it would be had it not been.

// resume leads back to what pointers and periods say: the version may have been superseded meanwhile, or be past its time.
func (d *draft) resume(v int, o Order) {
	k := &d.key
	override := k.Overrides[v]
	delete(k.Overrides, v)
	switch {
	case v == k.Primary:
		d.resumePrimary(v, o)
	case v == k.Staged, override.Before == PreActive:
		k.Staged = v
	default:
		d.resumeOld(v, override, o)
	}
}

// resumePrimary lets the active version go on, or lapse (transition T4) where its originator period has ended and no
// automation rotates the key.
func (d *draft) resumePrimary(v int, o Order) {
	end := protectsSince(d.key, v).Add(o.Rules.OriginatorPeriod)
	if o.Rules.OriginatorPeriod > 0 && o.Rules.Lapses && !o.At.Before(end) {
		d.key.Primary = 0
		d.set(v, StateOverride{State: Deactivated, At: o.At, Lapsed: true})
	}
}

// resumeOld lets a superseded version read on, or archives it (transition T8) where its time is over. Where its
// deactivation is dated by a page that only the store has, that is left to the clock.
func (d *draft) resumeOld(v int, override StateOverride, o Order) {
	ended := override.Ended
	if override.Before == NoState {
		ended = override.At // nobody knows better
	}
	if !ended.IsZero() {
		d.set(v, StateOverride{State: Deactivated, At: ended, ArchiveAt: override.ArchiveAt, Lapsed: override.Lapsed, Compromise: override.Compromise})
	}
	if end := archiveTime(d.key, v, o.Rules); !end.IsZero() && !o.At.Before(end) && (guards{d.key, o}).archive(v) == nil {
		d.set(v, StateOverride{State: Archived, At: o.At, RetireNotBefore: o.At.Add(o.Rules.QuietPeriod), Lapsed: override.Lapsed, Compromise: override.Compromise})
	}
}

// archiveTime returns when a deactivated version is archived, as far as the key tells; zero: it does not.
func archiveTime(k Key, v int, t policy.EffectiveRules) time.Time {
	override := k.Overrides[v]
	since := override.At
	if i := len(k.Recent) - (k.Latest - v); since.IsZero() && i >= 0 && i < len(k.Recent) {
		since = k.Recent[i] // of its successor
	}
	switch {
	case !override.ArchiveAt.IsZero():
		return override.ArchiveAt
	case t.ArchiveAfter == 0 || since.IsZero():
		return time.Time{}
	}
	return since.Add(t.ArchiveAfter)
}
