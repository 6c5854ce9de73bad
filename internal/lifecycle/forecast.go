// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"iter"
	"maps"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Forecasted is one thing that will happen to a key if nobody intervenes.
type Forecasted struct {
	At      time.Time
	Act     string // rotate, overdue, or the name of an operation
	Version int    // 0: the key as a whole
	Why     string
}

// Irreversible reports whether nothing brings back what it takes.
func (f Forecasted) Irreversible() bool { return Op(f.Act) == Destroy || Op(f.Act) == ErasePrivate }

// Coming yields the things that the clock will do to the key under the policy, soonest first, as if every attempt succeeded
// and no use was denied. They need not come to an end. Dates hold when the key's versions were made.
func Coming(k Key, p *policy.Policy, dates map[int]time.Time, now time.Time) iter.Seq[Forecasted] {
	return func(yield func(Forecasted) bool) {
		f := forecast{key: k, policy: p, dates: maps.Clone(dates), now: now, skip: map[Pending]bool{}}
		if f.dates == nil {
			f.dates = map[int]time.Time{}
		}
		for next, ok := f.next(); ok && yield(next); {
			next, ok = f.next()
		}
	}
}

// Forecast returns the next n of the things that are [Coming].
func Forecast(k Key, p *policy.Policy, dates map[int]time.Time, now time.Time, n int) (out []Forecasted) {
	if n <= 0 {
		return nil
	}
	for next := range Coming(k, p, dates, now) {
		if out = append(out, next); len(out) == n {
			break
		}
	}
	return out
}

// RecordedDates returns when versions of the key were made, as far as its record tells: of the newest, and what tells since
// when the oldest deactivated one is superseded.
func RecordedDates(k Key) map[int]time.Time {
	dates := make(map[int]time.Time, len(k.Recent)+1)
	if k.Oldest.Version != 0 {
		dates[k.Oldest.Version+1] = k.Oldest.Deactivated
	}
	for i, at := range k.Recent {
		dates[k.Latest-len(k.Recent)+1+i] = at
	}
	return dates
}

// forecast is a key as it will be.
type forecast struct {
	key     Key
	policy  *policy.Policy
	dates   map[int]time.Time
	now     time.Time
	skip    map[Pending]bool // what the guards refused
	overdue [2]int           // the latest and the staged version when the key was said to be overdue
}

// next lets the next thing happen.
func (f *forecast) next() (Forecasted, bool) {
	for {
		f.key = f.key.WithOldest(f.policy, f.dates)
		if done, ok := f.succeed(); ok {
			return done, true
		}
		entry, listed := f.entry()
		if at, ok := f.rotation(); ok && (!listed || at.Before(entry.At)) {
			f.now = at
			if plan := newPlanner(f.key, f.policy, at).plan(); !plan.Wake.After(at) { // else it waits for a window after a failure
				return f.rotate(plan), true
			}
			continue
		}
		if !listed {
			return Forecasted{}, false
		}
		f.now = laterOf(entry.At, f.now)
		if done, ok := f.apply(entry); ok {
			return done, true
		}
	}
}

// rotation returns when the key rotates, or becomes overdue; ok is false where it does neither, or is overdue already.
func (f *forecast) rotation() (at time.Time, ok bool) {
	if f.key.Successor() != 0 && f.key.Rotation.Failures > 0 { // a pending transition promotes it
		return time.Time{}, false
	}
	plan := newPlanner(f.key, f.policy, f.now).plan()
	return laterOf(laterOf(plan.Next, plan.Wake), f.now), plan.Status != Unscheduled && f.overdue != f.pointers()
}

// succeed replaces an active version that was reported as compromised.
func (f *forecast) succeed() (Forecasted, bool) {
	switch {
	case !f.key.NeedsSuccessor() || rotationRulesFor(f.key, f.policy).admits(f.key, f.now) != nil:
		return Forecasted{}, false
	case f.key.Successor() != 0:
		return f.apply(Pending{f.now, Promote, f.key.Staged})
	}
	next, err := WithNext(f.key, NextType{}, f.policy)
	if err == nil {
		next, err = next.Rotate(ByIncident, "", time.Time{}, f.now)
	}
	if err != nil {
		return Forecasted{}, false
	}
	return f.grown(next, "rotate", "the active version was reported as compromised"), true
}

// pointers tell whether the key had new versions since.
func (f *forecast) pointers() [2]int { return [2]int{f.key.Latest, f.key.Staged} }

func (f *forecast) entry() (Pending, bool) {
	for _, entry := range PendingTransitions(f.key, f.policy, f.now) {
		if !f.skip[entry] {
			return entry, true
		}
	}
	return Pending{}, false
}

// rotate lets the key rotate, or become overdue where nothing rotates it.
func (f *forecast) rotate(plan RotationPlan) Forecasted {
	next, err := WithNext(f.key, NextType{}, f.policy)
	grow, act := next.Rotate, "rotate"
	if f.key.RulesFor(f.policy).StagingTime > 0 {
		grow, act = next.Stage, "stage"
	}
	why := plan.Why
	if plan.ToRotate() && err == nil { // else the plan knows it
		next, err = grow(plan.Trigger, plan.Why, plan.Slot, f.now)
		if err == nil {
			return f.grown(next, act, plan.Why)
		}
		why = err.Error()
	}
	f.overdue = f.pointers()
	return Forecasted{f.now, string(Overdue), f.key.Primary, why}
}

// grown goes on with the key that has one version more.
func (f *forecast) grown(next Key, act, why string) Forecasted {
	if change := ChangeOfType(f.key, next); change != "" {
		why += "; type " + change
	}
	f.key = next
	f.dates[next.Latest] = f.now
	return Forecasted{f.now, act, next.Latest, why}
}

// apply lets a pending transition happen; ok is false where a guard refuses it.
func (f *forecast) apply(entry Pending) (done Forecasted, ok bool) {
	order := Order{At: f.now, Rules: f.key.RulesFor(f.policy)}
	reason := f.why(entry)
	next, _, err := f.key.Apply(entry.Op, entry.Version, order)
	if err != nil {
		f.skip[entry] = true
		return Forecasted{}, false
	}
	if entry.Op == Promote {
		f.dates[entry.Version] = f.now
	}
	f.key = next
	return Forecasted{f.now, string(entry.Op), entry.Version, reason}, true
}

// why says which field of the policy is behind what the clock does.
func (f *forecast) why(entry Pending) string {
	if entry.Op == Promote {
		staged := f.key.Rotation.Last.Add(f.key.RulesFor(f.policy).StagingTime)
		open := rotationRulesFor(f.key, f.policy).window.At(staged)
		if !open.After.IsZero() && entry.At.Equal(open.From) {
			return "staging_time has ended, kept back by rotation_blackout until " + timeText(open.After)
		}
	}
	return why[entry.Op]
}

// why says which field of the policy is behind what the clock does.
var why = map[Op]string{
	Promote: "staging_time ends",
	Lapse:   "originator_period ends, or a usage limit is reached, and no automation rotates the key",
	Archive: "archive_after or recipient_period has passed since its deactivation",
	Retire:  "retire_after and quiet_period have passed since it was archived, if no use is denied until then",
	Destroy: "destroy_delay has passed since it was retired",

	ErasePrivate: "erase_private_key, and rollback_window or originator_period ends: no version before the active one signs again",
}
