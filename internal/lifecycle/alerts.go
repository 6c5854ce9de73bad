// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"time"
)

// AlertStatuses lists the statuses that somebody has to look at, the most urgent first.
func AlertStatuses() []Status { return []Status{Stopped, Stalled, Overdue, Retrying, Ending} }

// Alert says that a key needs somebody's attention, and why.
type Alert struct {
	Status Status    // one of [AlertStatuses]
	Since  time.Time // when the rotation was due, the key stopped, or its end came near
}

// Alerts are all that operators should look at of a key, the most urgent first, each status once at most. Nil: nothing. They are
// shared, so never changed in place.
type Alerts []Alert

// Of returns the alert of the status; ok is false where there is none.
func (a Alerts) Of(status Status) (alert Alert, ok bool) {
	i := slices.IndexFunc(a, func(alert Alert) bool { return alert.Status == status })
	if i < 0 {
		return Alert{}, false
	}
	return a[i], true
}

// Has reports whether the status is one of them.
func (a Alerts) Has(status Status) bool {
	_, ok := a.Of(status)
	return ok
}

// SameStatuses reports whether both have the same statuses, since whenever.
func (a Alerts) SameStatuses(b Alerts) bool {
	return slices.EqualFunc(a, b, func(a, b Alert) bool { return a.Status == b.Status })
}

// Alerted is a key that the index of alerts lists under a status.
type Alerted struct {
	Name  string
	Since time.Time // to the minute
}

// Alerts returns what operators should look at, as of the time of the plan.
func (o RotationPlan) Alerts() (list Alerts) {
	if o.Status == Stopped {
		list = append(list, Alert{Stopped, o.since})
	}
	if o.waiting != "" {
		list = append(list, Alert{o.waiting, o.Next})
	}
	if o.near {
		list = append(list, Alert{Ending, o.Notice})
	}
	return list
}

// This part of the file is about ends that come near and that nobody automates: of the originator-usage period of the active
// version (SP 800-57 Part 1 Rev 5, section 5.3.4), and of the time until a rotation that an operator has to do.

// notice returns when the key, of which out is the plan, comes near an end; zero: it does not, or its policy says nothing.
func (p planner) notice(out RotationPlan) (notice time.Time) {
	k, r := p.key, p.rules
	if r.policy == nil || r.policy.NotifyBefore.Duration == 0 || k.Status.State != Enabled {
		return notice
	}
	if out.Status == Scheduled && p.isLeft(out.Next) {
		notice = p.before(k.Rotation.Base, out.Next)
	}
	if end := originatorEnd(k, r.policy); !end.IsZero() && (out.failing != "" || p.isLeft(end)) {
		if near := p.before(protectsSince(k, k.Primary), end); notice.IsZero() || near.Before(notice) {
			notice = near
		}
	}
	return notice
}

// isLeft reports whether a rotation at a time to come would be left to an operator.
func (p planner) isLeft(at time.Time) bool {
	if (agenda{key: p.key, policy: p.rules.policy, rules: p.key.RulesFor(p.rules.policy)}).promotes() {
		return false
	}
	p.now = laterOf(p.now, at)
	return p.obstacle() != ""
}

// before returns when an end comes near of a time that began then. A half of that time is never near its end.
func (p planner) before(began, end time.Time) time.Time {
	return end.Add(-min(p.rules.policy.NotifyBefore.Duration, max(end.Sub(began)/2, 0)))
}
