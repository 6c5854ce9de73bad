// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// mostApprovers bounds the one record that all enrolments are in.
const mostApprovers = 1000

// Approvers is who may consent, and the settings of the mount about consent.
type Approvers struct{ *Session }

// Approvers returns what is done with approvers.
func (s *Session) Approvers() Approvers { return Approvers{s} }

// Settings returns the settings of the mount about consent.
func (s Approvers) Settings(ctx context.Context) (consent.Settings, error) {
	return s.store.Approvers.ApprovalSettings(ctx)
}

// Configure changes the settings, with the consent of others where it makes them looser. A rule that is new or changed, and could be
// satisfied by too few people, is refused.
func (s Approvers) Configure(
	ctx context.Context, edit func(consent.Settings) (consent.Settings, error), pre Precondition,
) (consent.Settings, error) {
	roster, err := s.Roster(ctx) // before the lock: it asks Vault
	if err != nil {
		return consent.Settings{}, err
	}
	defer s.governance.upToDate.Store(false)
	var changed map[string]string
	after, err := s.store.Approvers.SetApprovalSettings(ctx, func(before consent.Settings) (next consent.Settings, e lifecycle.Event, err error) {
		if err := refusal.CheckRevision(pre.CAS, before.Revision); err != nil {
			return before, e, err
		}
		if next, err = edit(before); err != nil {
			return before, e, err
		}
		if err := next.Check(); err != nil {
			return before, e, err
		}
		if err := roster.CheckSettings(before, next); err != nil {
			return before, e, err
		}
		changed = before.Differences(next)
		e = lifecycle.Event{Act: string(acts.ConfigureApprovals), Reason: pre.Reason, Details: changed}
		if len(consent.Looser(before, next)) > 0 {
			e, err = s.gate().permitUnder(ctx, before, acts.GateApprovals, changed, pre, e)
		}
		return next, e, err
	})
	err = s.gate().filed(ctx, err)
	switch {
	case errors.Is(err, refusal.ErrRepeated):
		return after, nil
	case err == nil && len(changed) > 0:
		s.Log.Info("configured approvals", "revision", after.Revision, "changed", changed, "reason", pre.Reason)
	}
	return after, err
}

// Enrolments returns who has enrolled, in the order of the entities. Whether they are there is not asked.
func (s Approvers) Enrolments(ctx context.Context) ([]consent.Enrolment, error) {
	return s.store.Approvers.Enrolments(ctx)
}

// Acknowledge enrols an entity as an approver, or renews its enrolment, and returns it as a roster of one. Hash is that of the
// duties that it accepts.
func (s Approvers) Acknowledge(ctx context.Context, entity, hash string, pre Precondition) (consent.Roster, error) {
	if entity == "" {
		return consent.Roster{}, refusal.Invalidf("entity_id: the token has no entity, and only an entity can be an approver: log in with an auth method; a root token has none")
	}
	settings, err := s.Settings(ctx)
	if err != nil {
		return consent.Roster{}, err
	}
	if err := settings.CheckDuties(hash); err != nil {
		return consent.Roster{}, err
	}
	person, err := s.present(ctx, entity)
	if err != nil {
		return consent.Roster{}, err
	}
	founder, err := s.founding(ctx, settings)
	if err != nil {
		return consent.Roster{}, err
	}
	at, err := s.now(ctx)
	if err != nil {
		return consent.Roster{}, err
	}
	e, err := s.enrol(ctx, person, settings, founder, at, pre)
	return consent.Roster{Settings: settings, At: at, Members: []consent.Member{{Enrolment: e, Person: person}}}, err
}

// enrol commits that a person accepts the duties.
func (s Approvers) enrol(
	ctx context.Context, person consent.Person, settings consent.Settings, founder bool, at time.Time, pre Precondition,
) (consent.Enrolment, error) {
	var renewed bool
	e, err := s.store.Approvers.PutEnrolment(ctx, person.ID, func(current *consent.Enrolment) (consent.Enrolment, lifecycle.Event, error) {
		renewed = current != nil
		next := settings.Acknowledged(person.ID, current, founder, at)
		event := lifecycle.Event{Act: string(acts.Enrol), Reason: pre.Reason, Details: map[string]string{
			"entity": person.String(), "duties_hash": next.DutiesHash, "founder": fmt.Sprint(next.Founder), "renewed": fmt.Sprint(renewed),
		}}
		if renewed { // who renews an enrolment is an approver already
			return next, event, nil
		}
		event, err := s.gate().permitUnder(ctx, settings, acts.GateEnrol, map[string]string{"entity": person.ID, "duties_hash": next.DutiesHash}, pre, event)
		return next, event, err
	})
	err = s.gate().filed(ctx, err)
	if err == nil {
		s.Log.Info("enrolled approver", "entity", person.String(), "founder", e.Founder, "renewed", renewed, "reason", pre.Reason)
	}
	return e, err
}

// now is the time by which requests are dated, too: a newcomer has enrolled after what was asked for before.
func (s Approvers) now(ctx context.Context) (time.Time, error) {
	at, err := Approvals(s).situation(ctx)
	return at.now, err
}

// present returns a person who is to be an approver: one that is there, for whom there is room.
func (s Approvers) present(ctx context.Context, entity string) (consent.Person, error) {
	person, err := s.store.Directory.Person(ctx, entity)
	switch {
	case err != nil:
		return person, err
	case person.Gone, person.Disabled:
		return person, refusal.InvalidField("entity_id", entity, "the entity of the token is deleted, merged into another, or disabled: log in anew")
	}
	all, err := s.store.Approvers.Enrolments(ctx)
	known := slices.ContainsFunc(all, func(e consent.Enrolment) bool { return e.Entity == entity })
	if err == nil && !known && len(all) >= mostApprovers {
		err = refusal.Refusedf("%d approvers have enrolled, and a mount takes no more: delete some of approvers/", mostApprovers)
	}
	return person, err
}

// Member returns an approver as it is at the moment, as a roster of one, or refusal.ErrNotFound.
func (s Approvers) Member(ctx context.Context, entity string) (consent.Roster, error) {
	e, err := s.store.Approvers.Enrolment(ctx, entity)
	if err != nil {
		return consent.Roster{}, err
	}
	settings, err := s.Settings(ctx)
	if err != nil {
		return consent.Roster{}, err
	}
	return s.roster(ctx, settings, e)
}

// Remove ends the enrolment of an entity. That it has none is no error.
func (s Approvers) Remove(ctx context.Context, entity string, pre Precondition) error {
	person, err := s.store.Directory.Person(ctx, entity)
	if err != nil {
		return err
	}
	event := lifecycle.Event{Act: string(acts.Unenrol), Reason: pre.Reason, Details: map[string]string{"entity": person.String()}}
	if entity != s.store.Caller.Entity { // one's own duties one may always lay down
		if event, err = s.gate().permitMount(ctx, acts.GateEnrol, map[string]string{"entity": entity, "delete": "true"}, pre, event); err != nil {
			return s.gate().filed(ctx, err)
		}
	}
	err = s.store.Approvers.DeleteEnrolment(ctx, entity, event)
	switch {
	case errors.Is(err, refusal.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	s.Log.Warn("an approver is one no longer", "entity", person.String(), "reason", pre.Reason)
	return nil
}

// Roster returns all who have enrolled, as they are at the moment. Each costs two questions to Vault.
func (s Approvers) Roster(ctx context.Context) (consent.Roster, error) {
	settings, err := s.store.Approvers.ApprovalSettings(ctx)
	if err != nil {
		return consent.Roster{}, err
	}
	all, err := s.store.Approvers.Enrolments(ctx)
	if err != nil {
		return consent.Roster{}, err
	}
	return s.roster(ctx, settings, all...)
}

func (s Approvers) roster(ctx context.Context, settings consent.Settings, enrolments ...consent.Enrolment) (consent.Roster, error) {
	at, err := s.now(ctx)
	if err != nil {
		return consent.Roster{}, err
	}
	roster := consent.Roster{Settings: settings, At: at}
	for _, e := range enrolments {
		person, err := s.store.Directory.Person(ctx, e.Entity)
		if err != nil {
			return consent.Roster{}, err
		}
		roster.Members = append(roster.Members, consent.Member{Enrolment: e, Person: person})
	}
	return roster, nil
}

// founding reports whether no rule of the mount or of a policy asks for anybody's consent yet. A policy that cannot be read may
// have one.
func (s Approvers) founding(ctx context.Context, settings consent.Settings) (bool, error) {
	rules, err := s.Rules(ctx, settings)
	if errors.Is(err, refusal.ErrUnreadable) {
		return false, nil
	}
	return len(rules) == 0, err
}

// PlacedRule is a rule that asks for consent, and where it stands.
type PlacedRule struct {
	Policy string // empty: config/approvals
	Gate   acts.Gate
	Rule   consent.Rule
}

// String returns where the rule stands and what it says: "policy pci, retire: 2 of key-approvers".
func (r PlacedRule) String() string {
	where := "config/approvals"
	if r.Policy != "" {
		where = "policy " + r.Policy
	}
	return fmt.Sprintf("%s, %s: %s", where, r.Gate, r.Rule)
}

// Rules returns the rules of the mount and of all policies that ask for consent. The error is refusal.ErrUnreadable, beside the others, where a policy
// cannot be read.
func (s Approvers) Rules(ctx context.Context, settings consent.Settings) ([]PlacedRule, error) {
	rules := placed("", settings.Approvals)
	names, err := s.store.Policies.PolicyNames(ctx)
	if err != nil {
		return nil, err
	}
	var unread error
	for _, name := range names {
		p, err := s.data.Policy(ctx, name)
		switch {
		case errors.Is(err, refusal.ErrNotFound): // since it was listed
		case errors.Is(err, refusal.ErrUnreadable):
			unread = err
		case err != nil:
			return nil, err
		default:
			rules = append(rules, placed(name, rulesOf(p))...)
		}
	}
	return rules, unread
}

func placed(policyName string, rules map[acts.Gate]consent.Rule) (list []PlacedRule) {
	for gate, rule := range rules {
		if !rule.NotCreator {
			list = append(list, PlacedRule{policyName, gate, rule})
		}
	}
	slices.SortFunc(list, func(a, b PlacedRule) int { return strings.Compare(string(a.Gate), string(b.Gate)) })
	return list
}
