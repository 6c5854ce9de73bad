// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Review is of an act by break-glass: a rule asked for consent, nobody was asked, and others say afterwards what they think of it.
type Review struct {
	Content Content `json:"content"` // what was done; its requester is who did it, empty: a token without an entity
	Digest  string  `json:"digest"`

	Rule    Rule        `json:"rule"` // that was passed over
	Exclude []Exclusion `json:"exclude"`
	Actor   string      `json:"actor_name"` // for people
	Creator string      `json:"creator"`    // see [Request]
	Author  string      `json:"author"`

	Created time.Time `json:"created"`
	Due     time.Time `json:"due"`
	Began   int       `json:"began"` // number of the custody record with which the act began

	Verdict  State     `json:"verdict"` // [Justified] or [Rejected]; empty: nobody has closed it
	Closed   time.Time `json:"closed"`
	Reviewer string    `json:"reviewer"` // id of an entity
	Name     string    `json:"reviewer_name"`
	Closing  string    `json:"closing"` // the reason for the verdict
}

// The states of a review, beside [Void]: the act did not take effect.
const (
	Open      State = "open"
	Overdue   State = "overdue"
	Justified State = "justified"
	Rejected  State = "rejected"
)

// Verdicts are what a review can be closed with.
func Verdicts() []State { return []State{Justified, Rejected} }

// LeastGlassReason is how long the reason of an act by break-glass has to be, in bytes.
const LeastGlassReason = 20

// ReviewOf returns the review of what was to be asked for by a request, and was done at once.
func ReviewOf(r Request, due time.Time) Review {
	return Review{
		Content: r.Content, Digest: r.Digest, Rule: r.Rule, Exclude: r.Exclude, Actor: r.Requester, Creator: r.Creator, Author: r.Author,
		Created: r.Created, Due: due,
	}
}

// ID returns what the review is called: the id that a request of the same content has, with another beginning.
func (r Review) ID() string { return ReviewIDOf(r.Digest) }

// ReviewIDOf returns the id of a review by its digest: "rv-" and 26 letters and digits.
func ReviewIDOf(digest string) string { return idOf("rv-", digest) }

// By names who did it to people: a token without an entity by its display name.
func (r Review) By() string {
	if r.Content.Requester == "" {
		return r.Actor
	}
	return Person{ID: r.Content.Requester, Name: r.Actor}.String()
}

// StateIn returns the state of the review at a time. Effective: custody says that the act took effect.
func (r Review) StateIn(now time.Time, effective bool) State {
	switch {
	case !effective:
		return Void
	case r.Verdict != "":
		return r.Verdict
	case !now.Before(r.Due):
		return Overdue
	default:
		return Open
	}
}

// WhyNot says why a person may not close the review; empty: the person may. It is who counts under the rule that was passed over.
func (r Review) WhyNot(s Settings, p Person, e *Enrolment, now time.Time) string {
	switch {
	case p.ID == r.Content.Requester:
		return didIt
	case slices.Contains(r.Exclude, ExcludeCreator) && p.ID == r.Creator:
		return madeTheVersion
	case slices.Contains(r.Exclude, ExcludeAuthor) && p.ID == r.Author:
		return wroteThePolicy
	case r.Rule.NotCreator:
		return s.able(p, e, now)
	default:
		return s.Able(p, e, r.Rule, now)
	}
}

// CheckBreakGlass refuses an operation that is not to be done by break-glass.
func (s Settings) CheckBreakGlass(operation acts.Gate) error {
	switch {
	case !slices.Contains(BreakGlassable(), operation):
		return refusal.Refusedf("break_glass is for %s, which give back: %s is not done without consent", joined(BreakGlassable()), operation)
	case !slices.Contains(s.BreakGlassOperations, operation):
		return refusal.Refusedf("break_glass: %s is none of break_glass_operations of config/approvals (%s)", operation, joined(s.BreakGlassOperations))
	default:
		return nil
	}
}

// WhyNoGlass says why a person may not act by break-glass; empty: the person may. A person without an id has a token without an
// entity.
func (s Settings) WhyNoGlass(p Person) string {
	switch {
	case p.ID == "" && s.BreakGlassRoot:
		return ""
	case p.ID == "":
		return "a token without an entity may not act by break-glass: break_glass_root of config/approvals is false"
	case p.Gone:
		return p.String() + " " + notThere
	case p.Disabled:
		return p.String() + " " + disabled
	case !(Rule{Groups: s.BreakGlassGroups}).Admits(p.Groups):
		return p.String() + " is in none of break_glass_groups of config/approvals"
	default:
		return ""
	}
}
