// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import "time"

// State is what a request has come to.
type State string

// The states. The first that applies counts.
const (
	Executed  State = "executed"
	Denied    State = "denied"
	Withdrawn State = "withdrawn"
	Void      State = "void"     // what it is about has changed since, or its dates do not count any more
	Expired   State = "expired"  // too late to vote, or to execute
	Approved  State = "approved" // enough votes count now: who asked may execute
	Pending   State = "pending"
)

// Unreadable is the state of a request of which the record is damaged. It is no consent to anything.
const Unreadable State = "unreadable"

// Situation is what the state of a request follows from, beside the request.
type Situation struct {
	Now      time.Time // the later of the clock and of what the clock guard has seen
	Executed bool      // custody says that the execution took effect
	Moved    bool      // the subject, or the policy whose rule it is, is not what was asked about
	Clock    int       // how often the clock was believed anew
	Counting int       // votes that count now
}

// StateIn returns the state of the request. It is derived each time: nothing has to be written for a request to lapse.
func (r Request) StateIn(s Situation) State {
	switch {
	case s.Executed:
		return Executed
	case !r.Denied.IsZero():
		return Denied
	case !r.Withdrawn.IsZero():
		return Withdrawn
	case s.Moved, s.Clock != r.Clock:
		return Void
	case !s.Now.Before(r.OpenUntil()):
		return Expired
	case !r.Approved.IsZero() && s.Counting >= r.Rule.Need:
		return Approved
	default:
		return Pending
	}
}

// OpenUntil returns until when something can become of the request: until it is approved [Request.ApproveBy], then
// [Request.ExecuteBy], also where a vote does not count any more and another one is needed.
func (r Request) OpenUntil() time.Time {
	if r.Approved.IsZero() {
		return r.ApproveBy()
	}
	return r.ExecuteBy()
}
