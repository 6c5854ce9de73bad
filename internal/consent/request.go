// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"slices"
	"time"
)

// Request is that somebody asks for consent, with the votes that there are.
type Request struct {
	Content Content
	Digest  string
	Round   int // the same content may be asked for again: from 1

	Rule      Rule
	Exclude   []Exclusion
	Requester string // name, for people
	Creator   string // id of the entity that made the version or the key; empty: unknown
	Author    string // of the one that wrote the revision of the policy; empty: unknown

	Created    time.Time
	ApproveBy  time.Time
	ExecuteFor time.Duration // from the vote that made it enough
	Clock      int           // how often somebody had said that the clock is right

	Votes     []Vote // the oldest first, of each entity one
	Approved  time.Time
	Denied    bool // by the last vote
	Withdrawn time.Time
	Closing   string // the reason of who denied or withdrew it

	Began int // number of the custody record with which the execution began; 0: none has
}

// ID returns what the request is called.
func (r Request) ID() string { return IDOf(r.Digest) }

// Vote is one person's answer.
type Vote struct {
	Entity  string
	Name    string
	Approve bool
	At      time.Time
	Comment string
}

// Exclusion is a part in an act that keeps a person from consenting to it.
type Exclusion string

// The exclusions. Who asks is always excluded.
const (
	ExcludeRequester Exclusion = "requester"
	ExcludeCreator   Exclusion = "creator" // of the version, or of the key
	ExcludeAuthor    Exclusion = "author"  // of the revision of the policy
)

// Voter returns the vote of an entity; nil: it has none.
func (r Request) Voter(entity string) *Vote {
	if i := slices.IndexFunc(r.Votes, func(v Vote) bool { return v.Entity == entity }); i >= 0 {
		return &r.Votes[i]
	}
	return nil
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
	if e.Since.After(r.Created) {
		return enrolledAfter
	}
	return ""
}
