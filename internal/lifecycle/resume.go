// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "time"

// This file is about what becomes of a version that is resumed (transition T7). Its periods ran on while it was suspended,
// so it is what it would be had it not been.

// resume leads back to what pointers and periods say: the version may have been superseded meanwhile, or be past its time.
func (k *Key) resume(v int, o Order) {
	mark := k.Marks[v]
	delete(k.Marks, v)
	switch {
	case v == k.Primary:
		k.resumePrimary(v, o)
	case v == k.Staged, mark.Before == PreActive:
		k.Staged = v
	default:
		k.resumeOld(v, mark, o)
	}
}

// resumePrimary lets the active version go on, or lapse (transition T4) where its originator period has ended and no
// automation rotates the key.
func (k *Key) resumePrimary(v int, o Order) {
	end := k.protectsSince(v).Add(o.Terms.OriginatorPeriod)
	if o.Terms.OriginatorPeriod > 0 && o.Terms.Lapses && !o.At.Before(end) {
		k.Primary = 0
		k.mark(v, Mark{State: Deactivated, At: o.At, Lapsed: true})
	}
}

// resumeOld lets a superseded version read on, or archives it (transition T8) where its time is over. Where its
// deactivation is dated by a page that only the store has, that is left to the clock.
func (k *Key) resumeOld(v int, mark Mark, o Order) {
	ended := mark.Ended
	if mark.Before == NoState {
		ended = mark.At // nobody knows better
	}
	if !ended.IsZero() {
		k.mark(v, Mark{State: Deactivated, At: ended, Until: mark.Until, Lapsed: mark.Lapsed, Compromise: mark.Compromise})
	}
	if end := k.archiveTime(v, o.Terms); !end.IsZero() && !o.At.Before(end) && k.guardArchive(v, o.Terms.MinVersionsKept) == nil {
		k.mark(v, Mark{State: Archived, At: o.At, Until: o.At.Add(o.Terms.QuietPeriod), Lapsed: mark.Lapsed, Compromise: mark.Compromise})
	}
}

// archiveTime returns when a deactivated version is archived, as far as the key tells; zero: it does not.
func (k Key) archiveTime(v int, t Terms) time.Time {
	mark := k.Marks[v]
	since := mark.At
	if i := len(k.Recent) - (k.Latest - v); since.IsZero() && i >= 0 && i < len(k.Recent) {
		since = k.Recent[i] // of its successor
	}
	switch {
	case !mark.Until.IsZero():
		return mark.Until
	case t.ArchiveAfter == 0 || since.IsZero():
		return time.Time{}
	}
	return since.Add(t.ArchiveAfter)
}
