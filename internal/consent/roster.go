// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Member is somebody who has enrolled, and who that is at the moment.
type Member struct {
	Enrolment
	Person Person
}

// Roster is all who have enrolled, under the settings of the mount, at a time.
type Roster struct {
	Settings Settings
	Members  []Member
	At       time.Time
}

// Under returns the same people under other settings.
func (r Roster) Under(s Settings) Roster {
	r.Settings = s
	return r
}

// Why says why a member cannot approve anything at the moment; empty: the member can.
func (r Roster) Why(m Member) string { return r.Settings.able(m.Person, &m.Enrolment, r.At) }

// WhyNot says why a member is not one of those who can satisfy a rule at the moment; empty: the member is.
func (r Roster) WhyNot(m Member, rule Rule) string {
	return r.Settings.Able(m.Person, &m.Enrolment, rule, r.At)
}

// Able returns those who can satisfy a rule at the moment.
func (r Roster) Able(rule Rule) (able []Member) {
	for _, m := range r.Members {
		if r.WhyNot(m, rule) == "" {
			able = append(able, m)
		}
	}
	return able
}

// Lacking returns how many more people a rule needs who can satisfy it, so that one of them can be away, or ask; 0: none.
func (r Roster) Lacking(rule Rule) int {
	if rule.NotCreator {
		return 0
	}
	return max(rule.Need+1-len(r.Able(rule)), 0)
}

// Shrunk says what is wrong with a rule that too few people can satisfy; empty: enough can.
func (r Roster) Shrunk(rule Rule) string {
	able := len(r.Able(rule))
	switch {
	case r.Lacking(rule) == 0:
		return ""
	case able < rule.Need:
		return fmt.Sprintf("%s: %d are needed", r.whoCan(rule), rule.Need)
	default:
		return fmt.Sprintf("%s; a member who asks leaves %d", r.whoCan(rule), able-1)
	}
}

// whoCan names those who can satisfy a rule: "2 can approve (bob, carol)".
func (r Roster) whoCan(rule Rule) string {
	const most = 5
	able := r.Able(rule)
	names := make([]string, 0, most)
	for _, m := range able[:min(len(able), most)] {
		names = append(names, m.Person.called())
	}
	switch {
	case len(able) == 0:
		return "nobody can approve"
	case len(able) > most:
		names = append(names, "...")
	}
	return fmt.Sprintf("%d can approve (%s)", len(able), strings.Join(names, ", "))
}

func (p Person) called() string {
	if p.Name == "" {
		return p.ID
	}
	return p.Name
}

// CheckRules refuses rules that are new, or other than they were, and that too few people can satisfy: nobody locks himself out.
// The error names who can.
func (r Roster) CheckRules(was, rules map[acts.Gate]Rule) error {
	for _, gate := range slices.Sorted(maps.Keys(rules)) {
		rule := rules[gate]
		if old, had := was[gate]; had && old.String() == rule.String() {
			continue
		}
		if err := r.checkRule(gate, rule); err != nil {
			return err
		}
	}
	return nil
}

func (r Roster) checkRule(gate acts.Gate, rule Rule) error {
	lacking := r.Lacking(rule)
	if lacking == 0 {
		return nil
	}
	more := "one more is needed"
	if lacking > 1 {
		more = fmt.Sprintf("%d more are needed", lacking)
	}
	return refusal.InvalidField(FieldApprovals, AsGiven(gate, rule), r.whoCan(rule)+"; "+more+", so that one can be away")
}

// CheckSettings is [Roster.CheckRules] for settings that follow others, of whose rules none may be left to fewer people than it
// needs by what the settings ask of an approver.
func (r Roster) CheckSettings(was, next Settings) error {
	before, after := r.Under(was), r.Under(next)
	if err := after.CheckRules(was.Approvals, next.Approvals); err != nil {
		return err
	}
	for _, gate := range slices.Sorted(maps.Keys(next.Approvals)) {
		rule := next.Approvals[gate]
		if after.Lacking(rule) <= before.Lacking(rule) {
			continue
		}
		if err := after.checkRule(gate, rule); err != nil {
			return err
		}
	}
	return nil
}

// Acknowledged returns the enrolment of an entity that accepts the duties: what becomes of the one that it has; nil: it has none.
func (s Settings) Acknowledged(entity string, current *Enrolment, founder bool, at time.Time) Enrolment {
	next := Enrolment{Entity: entity, Since: at, Founder: founder}
	if current != nil {
		next = *current
	}
	next.Acknowledged, next.DutiesHash = at, s.DutiesHash()
	return next
}

// DutiesHash returns the SHA-256 of the duties' text, in hex.
func (s Settings) DutiesHash() string {
	sum := sha256.Sum256([]byte(s.Duties))
	return hex.EncodeToString(sum[:])
}

// CheckDuties refuses the acknowledgement of another text than that of the duties.
func (s Settings) CheckDuties(hash string) error {
	if hash != s.DutiesHash() {
		return refusal.InvalidField("duties_hash", hash, "is not the SHA-256 of the duties as they are: read approvers/duties")
	}
	return nil
}

// Lapses returns from when on an acknowledgement does not count any more.
func (s Settings) Lapses(e Enrolment) time.Time { return e.Acknowledged.Add(s.AcknowledgeEvery) }
