// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"slices"
	"time"
)

// Request is that somebody asks for consent, with the votes that there are.
type Request struct {
	Content Content `json:"content"`
	Digest  string  `json:"digest"`
	Round   int     `json:"round"` // the same content may be asked for again: from 1

	Rule      Rule        `json:"rule"`
	Exclude   []Exclusion `json:"exclude"`
	Requester string      `json:"requester_name"` // for people
	Creator   string      `json:"creator"`        // id of the entity that made the version or the key; empty: unknown
	Author    string      `json:"author"`         // of the one that wrote the revision of the policy; empty: unknown

	Created    time.Time     `json:"created"`
	ApproveFor time.Duration `json:"approve_for"`
	ExecuteFor time.Duration `json:"execute_for"` // from the vote that made it enough
	Clock      int           `json:"clock"`       // how often the clock had been believed anew

	Votes     []Vote    `json:"votes"` // the oldest first, of each entity one
	Approved  time.Time `json:"approved"`
	Denied    time.Time `json:"denied"`
	Withdrawn time.Time `json:"withdrawn"`
	Closing   string    `json:"closing"` // the reason of who denied or withdrew it

	Began int `json:"began"` // number of the custody record with which the execution began; 0: none has
}

// ID returns what the request is called.
func (r Request) ID() string { return IDOf(r.Digest) }

// Valid reports whether a request can have been filed: what is stored may be damaged. A vote of one person counts once, and without a
// rule anything would be approved.
func (r Request) Valid() bool {
	voters := map[string]bool{}
	for _, v := range r.Votes {
		voters[v.Entity] = true
	}
	return r.Digest == r.Content.Digest() && r.Round > 0 && r.Rule.Need > 0 && len(r.Rule.Groups) > 0 && len(voters) == len(r.Votes) && !voters[""] &&
		!r.Created.IsZero() && r.ApproveFor > 0 && r.ExecuteFor > 0
}

// Vote is one person's answer.
type Vote struct {
	Entity  string    `json:"entity"`
	Name    string    `json:"name"`
	Approve bool      `json:"approve"`
	At      time.Time `json:"at"`
	Comment string    `json:"comment"`
}

// Exclusion is a part in an act that keeps a person from consenting to it.
type Exclusion string

// The exclusions. Who asks is always excluded.
const (
	ExcludeRequester Exclusion = "requester"
	ExcludeCreator   Exclusion = "creator" // of the version, or of the key
	ExcludeAuthor    Exclusion = "author"  // of the revision of the policy
)

// ApproveBy returns until when enough votes have to be there.
func (r Request) ApproveBy() time.Time { return r.Created.Add(r.ApproveFor) }

// ExecuteBy returns until when it may be executed; zero: it has not been approved.
func (r Request) ExecuteBy() time.Time {
	if r.Approved.IsZero() {
		return time.Time{}
	}
	return r.Approved.Add(r.ExecuteFor)
}

// Voter returns the vote of an entity; nil: it has none.
func (r Request) Voter(entity string) *Vote {
	if i := slices.IndexFunc(r.Votes, func(v Vote) bool { return v.Entity == entity }); i >= 0 {
		return &r.Votes[i]
	}
	return nil
}

// Voted returns the request with one vote more, in the place of what the person said before. A vote against ends it.
func (r Request) Voted(v Vote) Request {
	r.Votes = append(slices.DeleteFunc(slices.Clone(r.Votes), func(was Vote) bool { return was.Entity == v.Entity }), v)
	if !v.Approve {
		r.Denied, r.Closing = v.At, v.Comment
	}
	return r
}

// Counts says why a person is not counted for the request; empty: the person is. It is asked at the vote, and again at the
// execution.
func (r Request) Counts(s Settings, p Person, e *Enrolment, now time.Time) string {
	switch {
	case p.ID == r.Content.Requester:
		return asked
	case slices.Contains(r.Exclude, ExcludeCreator) && p.ID == r.Creator:
		return madeTheVersion
	case slices.Contains(r.Exclude, ExcludeAuthor) && p.ID == r.Author:
		return wroteThePolicy
	}
	if why := s.Able(p, e, r.Rule, now); why != "" {
		return why
	}
	if e.Since.After(r.Created) || !e.Founder && e.Since.Equal(r.Created) { // dates are equal while the clock is behind
		return enrolledAfter
	}
	return ""
}
