// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"slices"
	"strings"
	"time"
)

// Person is an entity of Vault as it is at the moment.
type Person struct {
	ID       string
	Name     string
	Disabled bool
	Gone     bool     // no such entity: deleted, or merged into another
	Groups   []Group  // it is in directly, or by a group in a group
	Mounts   []string // accessors of the auth mounts at which it has an alias
}

// Enrolment is that an entity has accepted the duties of an approver.
type Enrolment struct {
	Entity       string
	Since        time.Time
	Founder      bool      // enrolled while no rule asked for anybody's consent: approver_wait is not asked of it
	Acknowledged time.Time // when the duties were accepted last
	DutiesHash   string    // SHA-256 of their text, in hex
}

// String names a person to people: "bob (3f2b…)".
func (p Person) String() string {
	if p.Name == "" {
		return p.ID
	}
	return p.Name + " (" + p.ID + ")"
}

// Why an entity is not counted. The texts go on behind the name of the person.
const (
	notThere       = "is no entity of this Vault any more"
	disabled       = "is disabled"
	notEnrolled    = "has not enrolled as an approver: read approvers/duties, write approvers/acknowledge"
	enrolledAfter  = "has enrolled after it was asked for"
	waiting        = "has enrolled less than approver_wait ago"
	lapsed         = "has not acknowledged the duties of an approver for longer than acknowledge_every"
	noAlias        = "has no alias at the auth mount that config/approvals names"
	asked          = "asked for it"
	didIt          = "did it"
	madeTheVersion = "made what it is about"
	wroteThePolicy = "wrote the revision of the policy that asks for consent"
	inNoneOf       = "is in none of the groups "
)

// able says why a person cannot approve anything at the moment; empty: the person can.
func (s Settings) able(p Person, e *Enrolment, now time.Time) string {
	switch {
	case p.Gone:
		return notThere
	case p.Disabled:
		return disabled
	case e == nil:
		return notEnrolled
	case !e.Founder && now.Before(e.Since.Add(s.ApproverWait)):
		return waiting
	case !now.Before(e.Acknowledged.Add(s.AcknowledgeEvery)):
		return lapsed
	case s.AuthMount != "" && !slices.Contains(p.Mounts, s.AuthMount):
		return noAlias
	default:
		return ""
	}
}

// Able says why a person is not one of those who can satisfy a rule at the moment, whatever is asked for; empty: the person is.
func (s Settings) Able(p Person, e *Enrolment, rule Rule, now time.Time) string {
	if why := s.able(p, e, now); why != "" {
		return why
	}
	if !rule.Admits(p.Groups) {
		return inNoneOf + strings.Join(rule.Groups, ", ")
	}
	return ""
}
