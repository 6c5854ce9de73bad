// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"maps"
	"slices"
	"time"
)

// Pending is one thing that the clock will do to a key.
type Pending struct {
	At      time.Time
	Op      Op
	Version int // 0: the key as a whole
}

// Irreversible tells whether a wrong clock could do harm with the entry that nobody can undo in time: the clock
// guard holds these back.
func (e Pending) Irreversible() bool { return e.Op == Archive || e.Op == Retire || e.Op == Destroy }

// AllPendingTransitions returns what the clock will do to the key besides rotating it, soonest first, as far as it can be told without
// knowing the time. The policy is nil where none is in force.
func AllPendingTransitions(k Key, p *Policy) []Pending { return PendingTransitions(k, p, time.Time{}) }

// PendingTransitions is [AllPendingTransitions] as it stands at now: what had to happen in a window that has closed waits for the next one.
func PendingTransitions(k Key, p *Policy, now time.Time) []Pending {
	t := k.RulesFor(p)
	if k.Status.State == KeyRetired && !k.Hold {
		return []Pending{{At: k.Status.DestroyAt, Op: Destroy}}
	}
	var pending []Pending
	if k.Status.State == Enabled || k.Status.State == KeySuspended {
		pending = k.fromPointers(p, t, now)
	}
	for v, override := range k.Overrides {
		if entry, ok := k.fromOverride(v, override, t); ok && k.Status.admits(entry.Op, override.State) {
			pending = append(pending, entry)
		}
	}
	slices.SortFunc(pending, func(a, b Pending) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return a.Version - b.Version
	})
	return pending
}

// fromPointers returns what the clock will do to the versions that the key's pointers name: the staged, the active and the
// oldest deactivated one.
func (k Key) fromPointers(p *Policy, t EffectiveRules, now time.Time) []Pending {
	var pending []Pending
	if k.promotes(p, t) {
		pending = append(pending, Pending{laterOf(k.stagingEnd(p, t, now), k.Rotation.retryAt(now)), Promote, k.Staged})
	}
	if lapse := k.lapse(p, t); !lapse.IsZero() {
		pending = append(pending, Pending{lapse, Lapse, k.Primary})
	}
	if t.ArchiveAfter > 0 && k.readable() > t.MinVersionsKept && k.versionState(k.Oldest.Version) == Deactivated && k.roomFor(k.Oldest.Version) {
		pending = append(pending, Pending{k.Oldest.Deactivated.Add(t.ArchiveAfter), Archive, k.Oldest.Version})
	}
	return pending
}

// promotes reports whether the clock promotes the staged version: under a staging time, and what the clock has staged also
// when a later revision has none. A version that is older than the active one is an operator's to promote.
func (k Key) promotes(p *Policy, t EffectiveRules) bool {
	byClock := p != nil && k.Rotation.Trigger != ByOperator
	return (t.StagingTime > 0 || byClock) && k.Successor() > k.Primary
}

// stagingEnd returns when the staged version is promoted: inside the window, unless the active version may protect no
// longer.
func (k Key) stagingEnd(p *Policy, t EffectiveRules, now time.Time) time.Time {
	if !now.IsZero() && k.Rotation.Last.After(now.Add(mayLag)) {
		return now // staged by a clock that was ahead: nobody knows since when
	}
	window := k.rotationRules(p).window
	at := window.From(k.Rotation.Last.Add(t.StagingTime))
	if open := window.Opening(now); now.After(at) && open.After(now) {
		at = open
	}
	if end := k.originatorEnd(p); !end.IsZero() && end.Before(at) {
		at = laterOf(end, k.Rotation.Last)
	}
	if k.exhausted(t.Limits) && k.Rotation.ExhaustedAt.Before(at) {
		at = k.Rotation.ExhaustedAt
	}
	return at
}

// fromOverride returns what the clock will do to a version in a state of its own.
func (k Key) fromOverride(v int, m StateOverride, t EffectiveRules) (Pending, bool) {
	switch {
	case v < k.MinAvailable || v < k.DestroyedBelow:
		return Pending{}, false
	case m.State == Deactivated && !m.ArchiveAt.IsZero() && v >= k.MinDecryption:
		return Pending{m.ArchiveAt, Archive, v}, true
	case m.State == Archived && t.RetireAfter > 0 && !k.Hold:
		return Pending{laterOf(laterOf(m.At.Add(t.RetireAfter), t.QuietUntil(m.At, time.Time{})), m.RetireNotBefore), Retire, v}, true
	case m.State == Retired && !k.Hold:
		return Pending{m.DestroyAt, Destroy, v}, true
	}
	return Pending{}, false
}

// lapse returns when the active version stops to protect without a successor; zero: it does not.
func (k Key) lapse(p *Policy, t EffectiveRules) time.Time {
	if p == nil || k.Primary == 0 || k.versionState(k.Primary) != Active {
		return time.Time{}
	}
	if k.blocked(t) {
		return k.Rotation.ExhaustedAt
	}
	if p.RotationMode == Auto {
		return time.Time{}
	}
	return k.originatorEnd(p)
}

// NeedsSuccessor reports an enabled key whose active version was reported as compromised and not replaced (transition
// T14): because no version could be made then, or because the key was not enabled. It may have been retired since.
func (k Key) NeedsSuccessor() bool {
	return k.Status.State == Enabled && k.Overrides[k.Primary].Compromise.reported()
}

// PutOff returns the key with the retirement of an archived version put off, because a use of it was denied.
func (k Key) PutOff(v int, until time.Time) Key {
	override := k.Overrides[v]
	if override.State != Archived {
		return k
	}
	next := k
	next.Overrides = maps.Clone(k.Overrides)
	override.RetireNotBefore = laterOf(override.RetireNotBefore, until)
	next.setOverride(v, override)
	return next
}

// OldestDeactivated returns the oldest version that the clock may archive; 0: there is none.
func (k Key) OldestDeactivated() int {
	for v := max(k.MinDecryption, k.MinAvailable, k.DestroyedBelow, 1); v <= k.Latest; v++ {
		if k.versionState(v) == Deactivated && k.Overrides[v].ArchiveAt.IsZero() {
			return v
		}
	}
	return 0
}

// WithOldest returns the key with the oldest version that the clock may archive. Dates hold when versions were made; a
// version was superseded when its successor was.
func (k Key) WithOldest(p *Policy, dates map[int]time.Time) Key {
	next := k
	next.Oldest = Oldest{}
	v := k.OldestDeactivated()
	if v == 0 || k.RulesFor(p).ArchiveAfter == 0 {
		return next
	}
	at := k.Overrides[v].At
	if at.IsZero() {
		at = dates[v+1]
	}
	if !at.IsZero() { // archived on no guess
		next.Oldest = Oldest{Version: v, Deactivated: at}
	}
	return next
}
