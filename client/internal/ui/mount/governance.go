// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount

import (
	"maps"
	"slices"
)

func sortedNames[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// Status is how the rotations of the mount stand.
type Status struct {
	Due            int      `json:"due"`
	DueComplete    bool     `json:"due_complete"`
	Running        bool     `json:"running"`
	Failed         int      `json:"failed"`
	Stalled        int      `json:"stalled"`
	Overdue        int      `json:"overdue"`
	Stopped        int      `json:"stopped"`
	Ending         int      `json:"ending"`
	Ungoverned     int      `json:"ungoverned"`
	OldestDue      Time     `json:"oldest_due_time"`
	OldestLateness int64    `json:"oldest_lateness"`
	Progress       Progress `json:"progress"`
}

// Progress is that of the last tick.
type Progress struct {
	Started Time    `json:"started_time"`
	Took    float64 `json:"took"`
	Seen    int     `json:"seen"`
}

// Alert is a key that needs somebody.
type Alert struct {
	Status string `json:"status"`
	Since  Time   `json:"since"`
	Policy string `json:"policy"`
	Why    string `json:"why"`
}

// Clock is what the clock guard says.
type Clock struct {
	Now    Time   `json:"now"`
	Frozen bool   `json:"frozen"`
	Why    string `json:"why"`
}

// Approval is a request for consent. A list has the first seven.
type Approval struct {
	Operation  string         `json:"operation"`
	Subject    string         `json:"subject"`
	State      string         `json:"state"`
	Requester  string         `json:"requester"`
	Status     string         `json:"status"`
	Created    Time           `json:"created_time"`
	Rule       string         `json:"rule"`
	ID         string         `json:"id"`
	Digest     string         `json:"digest"`
	Effect     string         `json:"effect"`
	Reason     string         `json:"reason"`
	Policy     string         `json:"policy"`
	Version    int            `json:"version"`
	Given      int            `json:"given"`
	ApproveBy  Time           `json:"approve_by"`
	ExecuteBy  Time           `json:"execute_by"`
	Parameters map[string]any `json:"parameters"`
	Votes      []Vote         `json:"votes"`
}

// Vote is one on a request.
type Vote struct {
	Entity  string `json:"entity_id"`
	Name    string `json:"name"`
	Vote    string `json:"vote"`
	Time    Time   `json:"time"`
	Comment string `json:"comment"`
	Counts  bool   `json:"counts"`
	WhyNot  string `json:"why_not"`
}

// Review is of an act by break-glass.
type Review struct {
	Operation     string `json:"operation"`
	Subject       string `json:"subject"`
	State         string `json:"state"`
	Actor         string `json:"actor"`
	Rule          string `json:"rule"`
	Policy        string `json:"policy"`
	Reason        string `json:"reason"`
	Version       int    `json:"version"`
	Created       Time   `json:"created_time"`
	Due           Time   `json:"due_time"`
	Closed        Time   `json:"closed_time"`
	Reviewer      string `json:"reviewer"`
	ClosingReason string `json:"closing_reason"`
	Verdict       string `json:"verdict"`
}

// PolicyRow is a line of the policies.
type PolicyRow struct {
	Owner    string `json:"owner"`
	Revision int    `json:"revision"`
	Bound    int    `json:"keys_bound"`
	Period   string `json:"rotation_period"`
	Schedule string `json:"rotation_schedule"`
}

// Policy is a revision, field by field, with its texts as they were written: who shows one makes it [Visible].
type Policy map[string]any

// Revision is a line of the revisions of a policy.
type Revision struct {
	Changes string `json:"changes"`
	Created Time   `json:"created_time"`
	Owner   string `json:"owner"`
}

// Finding is a rule that something does not meet.
type Finding struct {
	Field string `json:"field"`
	Value any    `json:"value"`
	Rule  string `json:"rule"`
}

// Drift are the keys that do not meet their policy.
type Drift struct {
	Checked  int       `json:"checked"`
	Bound    int       `json:"keys_bound"`
	Findings []Finding `json:"findings"`
	Keys     []struct {
		Name     string    `json:"name"`
		Findings []Finding `json:"findings"`
	} `json:"keys"`
	Next string `json:"next"`
}

// Change is a value as it is and as it would be.
type Change[T any] struct {
	From T `json:"from"`
	To   T `json:"to"`
}

// PolicyPlan is what a candidate of a policy would change.
type PolicyPlan struct {
	Revision int                    `json:"revision"`
	Bound    int                    `json:"keys_bound"`
	Changes  map[string]Change[any] `json:"changes"`
	Looser   map[string]string      `json:"looser"`
	Needs    string                 `json:"needs"`
	Due      int                    `json:"due_now"`
	Drifting int                    `json:"non_compliant"`
	Newly    int                    `json:"becomes_non_compliant"`
	Keys     []PlannedKey           `json:"keys"`
	Next     string                 `json:"next"`
}

// Fields are the changes but for the text of the document, which says the same once more.
func (p PolicyPlan) Fields() map[string]Change[any] {
	fields := maps.Clone(p.Changes)
	delete(fields, "document")
	return fields
}

// PlannedKey is a bound key under the policy in force and under the candidate.
type PlannedKey struct {
	Name      string         `json:"name"`
	DueNow    bool           `json:"due_now"`
	Rotation  Change[Time]   `json:"next_rotation_time"`
	Status    Change[string] `json:"rotation_status"`
	NextEvent Change[*Event] `json:"next_event"`
	Becomes   []Finding      `json:"becomes_non_compliant"`
	Stays     []Finding      `json:"stays_non_compliant"`
	Ends      []Finding      `json:"becomes_compliant"`
}
