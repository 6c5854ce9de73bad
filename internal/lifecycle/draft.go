// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"maps"
	"slices"
	"time"
)

// draft is a key on the way to its next snapshot. Its overrides are its own, so that they may be changed in place.
type draft struct{ key Key }

func draftOf(k Key) *draft {
	k.Overrides = maps.Clone(k.Overrides)
	return &draft{k}
}

// finished returns the next snapshot.
func (d *draft) finished() Key {
	d.key.Overrides.share()
	if len(d.key.Overrides) == 0 {
		d.key.Overrides = nil // as it will be read back
	}
	return d.key
}

// set gives a version an override.
func (d *draft) set(v int, m StateOverride) {
	if d.key.Overrides == nil {
		d.key.Overrides = Overrides{}
	}
	d.key.Overrides[v] = m
}

// move changes pointers and overrides as the row says.
func (d *draft) move(row edge, v int, o Order) {
	k := &d.key
	override := k.Overrides[v]
	switch row.op {
	case Promote:
		k.Predecessors = predecessors(*k)
		d.promote(v, o.At)
		k.Rotation = k.Rotation.succeeded()
		return
	case Lapse:
		k.Primary = 0
		d.set(v, StateOverride{State: Deactivated, At: o.At, Lapsed: true})
		return
	case Resume:
		d.resume(v, o)
		return
	case Restore:
		d.restore(v, override, o.At, o.Rules.QuietPeriod)
		return
	}
	if v == k.Staged && row.op != Suspend {
		k.Staged = 0
	}
	d.set(v, row.overrideAfter(override, o))
}

// overrideAfter returns the override that a row makes of a version's override.
func (row edge) overrideAfter(override StateOverride, o Order) StateOverride {
	next := StateOverride{State: row.to, At: o.At, Lapsed: override.Lapsed, Compromise: override.Compromise}
	switch row.op {
	case Recover:
		if row.from == Compromised {
			next = override
			next.Locked, next.Stored = false, false
			return next
		}
		next.ArchiveAt = o.Until
	case Suspend:
		next.ArchiveAt, next.Before = override.ArchiveAt, row.from
		if override.State == Deactivated {
			next.Ended = override.At
		}
	case Archive:
		next.RetireNotBefore = o.At.Add(o.Rules.QuietPeriod)
	case Retire:
		next.Before, next.DestroyAt = row.from, o.At.Add(o.Rules.DestroyDelay)
		next.Locked, next.Stored = override.Locked, override.Stored
	case ReportCompromise:
		next.Locked, next.Stored = permissions[row.from][Process] != always, override.inArchive()
		next.RetireNotBefore = o.At.Add(o.Rules.QuietPeriod)
		next.Compromise = Compromise{Code: o.Code, Occurred: o.Occurred, Reported: o.At}
	}
	return next
}

// promote makes v the primary. The one before is deactivated from now on: as a rule that is the date of its successor,
// which counts from its promotion; otherwise an override says it.
func (d *draft) promote(v int, at time.Time) {
	k := &d.key
	i := len(k.Recent) - 1 - (k.Latest - v)
	dated := k.Staged == v && i >= 0
	d.supersede(at, dated && k.Primary == v-1)
	if dated {
		k.Recent = slices.Clone(k.Recent)
		k.Recent[i] = at
	}
	delete(k.Overrides, v)
	k.Primary = v
	if k.Staged == v {
		k.Staged = 0
	}
	k.Rotation.Promoted, k.Rotation.ChecksPending = at, true
}

// supersede notes since when the primary is deactivated, unless the date of its successor tells.
func (d *draft) supersede(at time.Time, byDate bool) {
	k := &d.key
	override, marked := k.Overrides[k.Primary]
	switch {
	case k.Primary == 0, marked && override.State != Suspended, !marked && byDate:
		return
	case marked:
		override.Ended = at
	default:
		override = StateOverride{State: Deactivated, At: at}
	}
	d.set(k.Primary, override)
}

// restore leads back to what the version was before it was retired.
func (d *draft) restore(v int, m StateOverride, at time.Time, quiet time.Duration) {
	switch m.Before {
	case PreActive:
		delete(d.key.Overrides, v)
		d.key.Staged = v
	case Compromised:
		m.State, m.Before, m.At, m.DestroyAt, m.RetireNotBefore = Compromised, NoState, at, time.Time{}, at.Add(quiet)
		d.set(v, m)
	default:
		d.set(v, StateOverride{State: Archived, At: at, RetireNotBefore: at.Add(quiet), Lapsed: m.Lapsed, Compromise: m.Compromise})
	}
}

// compactDestroyed turns the overrides of versions destroyed from the oldest on into a floor.
func (d *draft) compactDestroyed() {
	k := &d.key
	for v := max(k.DestroyedBelow, k.MinAvailable, 1); k.versionState(v) == Destroyed; v++ {
		k.DestroyedBelow = v + 1
		if !k.Overrides[v].Compromise.reported() { // which is never cleared
			delete(k.Overrides, v)
		}
	}
}
