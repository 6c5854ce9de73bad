// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Pending is one thing that the clock will do to a key.
type Pending struct {
	At      time.Time
	Op      Op
	Version int // 0: the key as a whole
}

// Irreversible tells whether a wrong clock could do harm with the entry that nobody can undo in time: the clock
// guard holds these back.
func (e Pending) Irreversible() bool { return e.Op.Destroys() }

// PendingTransitions returns what the clock will do to the key besides rotating it, soonest first, as it stands at now: what
// had to happen in a window that has closed waits for the next one. The policy is nil where none is in force.
func PendingTransitions(k Key, p *policy.Policy, now time.Time) []Pending {
	a := agenda{k, p, k.RulesFor(p), now}
	if k.Status.State == KeyRetired && !k.Hold {
		return []Pending{{At: k.Status.DestroyAt, Op: Destroy}}
	}
	var pending []Pending
	if k.Status.State == Enabled || k.Status.State == KeySuspended {
		pending = a.fromPointers()
	}
	for v, override := range k.Overrides {
		if entry, ok := a.fromOverride(v, override); ok && k.Status.admits(entry.Op, override.State) {
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

// agenda finds what the clock will do to a key under a policy, as it stands at now.
type agenda struct {
	key    Key
	policy *policy.Policy
	rules  policy.EffectiveRules
	now    time.Time // zero: unknown
}

// fromPointers returns what the clock will do to the versions that the key's pointers name: the staged, the active and the
// oldest deactivated one.
func (a agenda) fromPointers() []Pending {
	k, t := a.key, a.rules
	var pending []Pending
	if a.promotes() {
		pending = append(pending, Pending{laterOf(a.stagingEnd(), k.Rotation.retryAt(a.now)), Promote, k.Staged})
	}
	if lapse := a.lapse(); !lapse.IsZero() {
		pending = append(pending, Pending{lapse, Lapse, k.Primary})
	}
	if below, at := erasable(k, t); below > 0 {
		pending = append(pending, Pending{At: at, Op: ErasePrivate})
	}
	if t.ArchiveAfter > 0 && readableFrom(k, k.MinDecryption) > t.MinVersionsKept && k.versionState(k.Oldest.Version) == Deactivated && k.Overrides.roomFor(k.Oldest.Version) {
		pending = append(pending, Pending{k.Oldest.Deactivated.Add(t.ArchiveAfter), Archive, k.Oldest.Version})
	}
	return pending
}

// promotes reports whether the clock promotes the staged version: under a staging time, and what the clock has staged also
// when a later revision has none. A version that is older than the active one is an operator's to promote, and so is one of a key
// that came in with it.
func (a agenda) promotes() bool {
	k := a.key
	byClock := a.policy != nil && k.Rotation.Trigger.isOfClock()
	return (a.rules.StagingTime > 0 || byClock) && k.Successor() > k.Primary
}

// stagingEnd returns when the staged version is promoted: inside the window, unless the active version may protect no
// longer.
func (a agenda) stagingEnd() time.Time {
	k, t, now := a.key, a.rules, a.now
	if !now.IsZero() && k.Rotation.Last.After(now.Add(mayLag)) {
		return now // staged by a clock that was ahead: nobody knows since when
	}
	window := rotationRulesFor(k, a.policy).window
	at := window.From(k.Rotation.Last.Add(t.StagingTime))
	if open := window.From(now); now.After(at) && open.After(now) {
		at = open
	}
	if end := originatorEnd(k, a.policy); !end.IsZero() && end.Before(at) {
		at = laterOf(end, k.Rotation.Last)
	}
	if exhausted(k, t.Limits) && k.Rotation.ExhaustedAt.Before(at) {
		at = k.Rotation.ExhaustedAt
	}
	return at
}

// fromOverride returns what the clock will do to a version in a state of its own.
func (a agenda) fromOverride(v int, m StateOverride) (Pending, bool) {
	k, t := a.key, a.rules
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
func (a agenda) lapse() time.Time {
	k, p := a.key, a.policy
	if p == nil || k.Primary == 0 || k.versionState(k.Primary) != Active {
		return time.Time{}
	}
	if blocked(k, a.rules) {
		return k.Rotation.ExhaustedAt
	}
	if p.RotationMode == policy.Auto {
		return time.Time{}
	}
	return originatorEnd(k, p)
}
