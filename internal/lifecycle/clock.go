// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "time"

// Denials says how often, and when, a use of a version was denied because of its state.
type Denials struct {
	Count int       `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Plus returns the sum of both.
func (d Denials) Plus(o Denials) Denials {
	sum := Denials{Count: d.Count + o.Count, First: d.First, Last: laterOf(d.Last, o.Last)}
	if sum.First.IsZero() || (!o.First.IsZero() && o.First.Before(sum.First)) {
		sum.First = o.First
	}
	return sum
}

// Clock is what the guard remembers of the clock.
type Clock struct {
	High   time.Time `json:"high"`   // the latest time that a tick has seen
	Jumped time.Time `json:"jumped"` // when a jump of the clock was noticed; zero: none that still counts
}

// What the clock guard lets pass.
const (
	mayLag  = 5 * time.Minute // behind the latest time seen
	mayJump = 24 * time.Hour  // between two ticks
	proving = 24 * time.Hour  // that a clock has to run on after a jump before it is believed
)

// Behind says that the clock shows a time before one that it has shown, so that no date of it can be trusted; empty: it
// does not. A clock that is ahead cannot be told from one that stood still in an outage.
func (c Clock) Behind(now time.Time) string {
	if !now.Before(c.High.Add(-mayLag)) {
		return ""
	}
	return "the clock is behind " + c.High.UTC().Format(time.RFC3339) + ", which it has shown before"
}

// Watch returns what is to be remembered at now, and whether steps that a wrong clock would make harmful have to
// wait, with the reason in a sentence.
func (c Clock) Watch(now time.Time) (next Clock, frozen string) {
	if c.High.IsZero() {
		return Clock{High: now}, ""
	}
	if behind := c.Behind(now); behind != "" {
		return c, behind
	}
	next = Clock{High: laterOf(now, c.High), Jumped: c.Jumped}
	if now.Sub(c.High) > mayJump {
		next.Jumped = now
	}
	if next.Jumped.IsZero() {
		return next, ""
	}
	if now.Sub(next.Jumped) >= proving {
		next.Jumped = time.Time{}
		return next, ""
	}
	return next, "the clock jumped by more than a day, to " + next.Jumped.UTC().Format(time.RFC3339) + ", or no tick ran meanwhile"
}
