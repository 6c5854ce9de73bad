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
	High   time.Time     `json:"high"`   // the latest time that a tick has seen
	Jumped time.Time     `json:"jumped"` // when a jump of the clock was noticed; zero: none that still counts
	Leapt  time.Duration `json:"leapt"`  // by which it went on without ticks, less what it ran on since

	Acknowledged int `json:"acknowledged,omitempty"` // how often it was believed anew: somebody said that it is right, or it ran on after a jump
}

// What the clock guard lets pass. A tick comes once a minute and notes the time every few minutes, so a longer step is a
// leap: the clock jumped, or no tick ran. The shortest destroy_delay is twice what leaps may come to: however many go
// unnoticed, a quarter of it is left.
const (
	mayLag  = 5 * time.Minute  // behind the latest time seen
	mayStep = 10 * time.Minute // between two ticks
	mayJump = 12 * time.Hour   // by leaps, less what the clock ran on since
	proving = 24 * time.Hour   // that a clock has to run on after a jump before it is believed
)

// Behind says that the clock shows a time before one that it has shown, so that no date of it can be trusted; empty: it
// does not. A clock that is ahead cannot be told from one that stood still in an outage.
func (c Clock) Behind(now time.Time) string {
	if !now.Before(c.High.Add(-mayLag)) {
		return ""
	}
	return "the clock is behind " + c.High.UTC().Format(time.RFC3339) + ", which it has shown before"
}

// Date returns what an act that begins a period, or is bound to one, is dated by: of a clock that is behind, the latest time
// that it has shown. Behind says that it is; see [Clock.Behind].
func (c Clock) Date(now time.Time) (at time.Time, behind string) {
	if behind = c.Behind(now); behind != "" {
		return c.High, behind
	}
	return now, ""
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
	next = Clock{High: laterOf(now, c.High), Jumped: c.Jumped, Acknowledged: c.Acknowledged}
	switch step := next.High.Sub(c.High); {
	case step <= mayStep:
		next.Leapt = max(c.Leapt-step, 0)
	case step <= mayJump-c.Leapt:
		next.Leapt = c.Leapt + step
	default:
		next.Jumped = now
	}
	if next.Jumped.IsZero() {
		return next, ""
	}
	if now.Sub(next.Jumped) >= proving {
		next.Jumped = time.Time{}
		next.Acknowledged++
		return next, ""
	}
	return next, "the clock jumped by more than 12 hours in all, to " + next.Jumped.UTC().Format(time.RFC3339) + ", or no tick ran meanwhile"
}
