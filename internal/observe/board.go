// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observe

import "time"

// Bounds of what the board names.
const (
	MaxAlerts   = 100 // keys with an alert, the oldest first
	MaxPolicies = 50  // policies, the largest first; the others are one, named [Other]
)

// Other stands for the policies that are not named.
const Other = "other"

// Tick is how the ticks went.
type Tick struct {
	LastSuccess time.Time // the end of the last one without an error; zero: none since the start of the process
	Took        time.Duration
	Unfinished  bool   // something was left that is due
	Frozen      string // why the clock is not believed; empty: it is
}

// Rotation is which keys wait for a tick, and which need somebody.
type Rotation struct {
	Due       int       // keys that the due index lists up to now
	OldestDue time.Time // zero: none is due
	Alerting  map[string]int
	Alerts    []Alert // at most MaxAlerts, the oldest first
	Hidden    int     // alerts that are not among them
}

// An Alert is a key that needs somebody.
type Alert struct {
	Key, Status string
	Since       time.Time
}

// A UsageRatio is the highest share of a usage limit that is used up, among the keys of a policy.
type UsageRatio struct {
	Policy, OnLimit string
	Ratio           float64 // leased to allowed
}

// Census is how many keys and versions there are. It is complete after one round over the keys, and exact from then on.
type Census struct {
	At              time.Time // the end of the last round; zero: no round has come to its end
	Keys            map[TypeState]int
	Versions        map[string]int // by state
	Drifting        map[string]int // by policy, at most MaxPolicies and Other
	NextDestruction time.Time      // zero: none is planned
}

// TypeState is a type of keys, and a state of theirs.
type TypeState struct{ Type, State string }

// Governance is what waits for people.
type Governance struct {
	Approvals       map[string]int // open requests by state
	OldestPending   time.Time      // zero: none is pending
	Approvers       []Approvers    // by rule
	Reviews         int            // open ones
	OldestReviewDue time.Time      // zero: none is open
	DrillsOverdue   int
}

// Approvers is how many people a rule needs, and how many are able to consent.
type Approvers struct {
	Rule         string
	Needed, Able int
}

// Custody is how the chains of custody stand, as far as acts, verification and the scrub saw them.
type Custody struct {
	Broken     int       // chains
	Checkpoint time.Time // of the newest checkpoint of a whole round; zero: there is none
}

// Scrub is what opening stored versions showed.
type Scrub struct {
	Round      time.Time // the end of the last round over all keys; zero: no round has come to its end since the start of the process
	PassedOver int       // versions and chains that the last round could not look at, as the HSM was away or storage did not answer
	Failures   []Failure // at most MaxFailures, the oldest first
	Hidden     int       // failures that are not among them
}
