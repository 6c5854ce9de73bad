// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// approversAPI serves who may consent, and the settings of the mount about consent.
type approversAPI struct{}

func (a approversAPI) paths() []path {
	return []path{
		a.config(), a.dutiesPath(), a.acknowledgePath(),
		tableOf("approvers", vaultapi.Strict, "By entity: its name, since when it is an approver, until when its acknowledgement counts, and whether it can approve.", a.list),
		a.approver(),
	}
}

var (
	fDutiesHash    = vaultapi.Text("duties_hash", "SHA-256 of the text of the duties, in hex, as approvers/duties has it.")
	fDutiesCurrent = vaultapi.Bool("duties_current", "The text that was accepted is that of now.")
)

func (a approversAPI) dutiesPath() path {
	help := "Read the duties that an approver accepts."
	return path{
		Pattern: "approvers/duties", ID: vaultapi.ID{Verb: "read", Suffix: "approver-duties"}, Mode: vaultapi.Strict,
		Operations: operations{logical.ReadOperation: {
			Handle: a.duties, Summary: help, Answer: "The text, and its digest.", Fields: vaultapi.FieldsOf(fDuties, fDutiesHash),
		}},
		Synopsis:    help,
		Description: "config/approvals has the text. Who accepts it writes duties_hash to approvers/acknowledge.",
	}
}

func (approversAPI) duties(ctx context.Context, c *request) (*logical.Response, error) {
	s, err := c.Approvers().Settings(ctx)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fDuties.Is(s.Duties), fDutiesHash.Is(s.DutiesHash())), nil
}

func (a approversAPI) acknowledgePath() path {
	help := "Accept the duties of an approver: enrol as one, or renew the enrolment."
	return path{
		Pattern: "approvers/acknowledge", ID: vaultapi.ID{Verb: "acknowledge", Suffix: "approver-duties"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fDutiesHash, fReason),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.acknowledge, Summary: help, Answer: "The enrolment.", Fields: enrolmentAnswer.Fields(),
		}},
		Synopsis: help,
		Description: "The entity of the token enrols, so a token without one cannot. A new approver counts when approver_wait is over, but at once where nothing on the mount " +
			"needs anybody's consent yet. An acknowledgement counts for acknowledge_every.",
	}
}

func (approversAPI) acknowledge(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	hash := fDutiesHash.Get(c)
	if hash == "" {
		return nil, vaultapi.InvalidField(fDutiesHash.Name, hash, "is missing: read approvers/duties")
	}
	roster, err := c.Approvers().Acknowledge(ctx, c.Logical.EntityID, hash, pre)
	if err != nil {
		return nil, err
	}
	return enrolmentAnswer.Of(enrolled{roster.Members[0], roster}), nil
}

// enrolled is an approver, and the roster that it is judged by.
type enrolled struct {
	consent.Member
	roster consent.Roster
}

var (
	fEntity     = vaultapi.Text("entity", "Id of the entity.")
	fPersonName = vaultapi.Text("name", "Name of the entity. Empty: there is none of the id any more.")
	fAble       = vaultapi.Bool("able", "It can approve at the moment, where it is in a group of the rule.")
	fWhyUnable  = vaultapi.Text("why", "Why not.")
	fLapses     = vaultapi.Text("lapses_time", "Until when the acknowledgement counts, RFC 3339.")
	fSince      = vaultapi.Text("since_time", "When it enrolled, RFC 3339.")
	fCounting   = vaultapi.List("rules", "Rules of the mount and of its policies: policy, which is empty for config/approvals, operation, rule, whether the approver counts for it, and why not.")
)

var enrolmentAnswer = vaultapi.Answer[enrolled]{
	vaultapi.Show(fEntity, func(e enrolled) string { return e.Entity }),
	vaultapi.Show(fPersonName, func(e enrolled) string { return e.Person.Name }),
	vaultapi.Show(fSince, func(e enrolled) string { return vaultapi.Time(e.Since) }),
	vaultapi.Show(vaultapi.Bool("founder", "It enrolled while nothing on the mount needed anybody's consent, and does not wait."), func(e enrolled) bool { return e.Founder }),
	vaultapi.Show(vaultapi.Text("acknowledged_time", "When it accepted the duties last, RFC 3339."), func(e enrolled) string { return vaultapi.Time(e.Acknowledged) }),
	vaultapi.Show(fLapses, func(e enrolled) string { return vaultapi.Time(e.roster.Settings.Lapses(e.Enrolment)) }),
	vaultapi.Show(fDutiesHash, func(e enrolled) string { return e.DutiesHash }),
	vaultapi.Show(fDutiesCurrent, func(e enrolled) bool { return e.DutiesHash == e.roster.Settings.DutiesHash() }),
	vaultapi.Show(vaultapi.Strings("groups", "Names of the groups of Vault's identity that it is in."), groupNames),
	vaultapi.Show(fAble, func(e enrolled) bool { return e.roster.Why(e.Member) == "" }),
	vaultapi.Show(fWhyUnable, func(e enrolled) string { return e.roster.Why(e.Member) }),
}

func groupNames(e enrolled) []string {
	names := make([]string, len(e.Person.Groups))
	for i, g := range e.Person.Groups {
		names[i] = g.Name
	}
	slices.Sort(names)
	return names
}

var approverRows = enrolmentAnswer.Only(fPersonName.Name, fSince.Name, fLapses.Name, fAble.Name, fWhyUnable.Name)

func (a approversAPI) list(ctx context.Context, c *request) (*logical.Response, error) {
	roster, err := c.Approvers().Roster(ctx)
	if err != nil {
		return nil, err
	}
	names, members := make([]string, len(roster.Members)), make(map[string]*enrolled, len(roster.Members))
	for i, m := range roster.Members {
		names[i] = m.Entity
		members[m.Entity] = &enrolled{m, roster}
	}
	listing, err := vaultapi.ListNames(c, names)
	if err != nil {
		return nil, err
	}
	resp, err := vaultapi.Table(ctx, listing, approverRows, func(entity string) (*enrolled, error) { return members[entity], nil })
	if err != nil {
		return nil, err
	}
	return resp, warnOfShrunkRules(ctx, c, roster, resp)
}

// warnOfShrunkRules says for which rules too few approvers are left.
func warnOfShrunkRules(ctx context.Context, c *request, roster consent.Roster, resp *logical.Response) error {
	const most = 20
	rules, err := c.Approvers().Rules(ctx, roster.Settings)
	if errors.Is(err, refusal.ErrUnreadable) {
		resp.AddWarning("rules are left out: " + err.Error())
	} else if err != nil {
		return err
	}
	shrunk := 0
	for _, rule := range rules {
		why := roster.Shrunk(rule.Rule)
		if why == "" {
			continue
		}
		if shrunk++; shrunk <= most {
			resp.AddWarning(rule.String() + ": " + why)
		}
	}
	if shrunk > most {
		resp.AddWarning(fmt.Sprintf("and %d more rules that too few approvers can satisfy", shrunk-most))
	}
	return nil
}

func (a approversAPI) approver() path {
	return path{
		Pattern: "approvers/" + framework.GenericNameRegex(fEntity.Name), ID: vaultapi.ID{Suffix: "approver"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fEntity, fReason),
		Operations: operations{
			logical.ReadOperation: {
				Handle: a.read, ID: vaultapi.ID{Verb: "read"}, Answer: "The approver.", Fields: enrolmentAnswer.Fields(fCounting),
				Summary: "Read an approver, and for which rules it counts.",
			},
			logical.DeleteOperation: {
				Handle: a.remove, ID: vaultapi.ID{Verb: "delete"}, Answer: "The entity is no approver.",
				Summary: "End the enrolment of an approver: one's own, or that of somebody else.",
			},
		},
		Synopsis:    "Read an approver, and end an enrolment.",
		Description: "Whether an entity is there, disabled, or in a group is what Vault says at the moment. Ending an enrolment takes nothing back that the approver has consented to and that was executed.",
	}
}

func (approversAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	roster, err := c.Approvers().Member(ctx, fEntity.Get(c))
	if err != nil {
		return nil, err
	}
	rules, unread := c.Approvers().Rules(ctx, roster.Settings)
	if unread != nil && !errors.Is(unread, refusal.ErrUnreadable) {
		return nil, unread
	}
	m := roster.Members[0]
	resp := enrolmentAnswer.Of(enrolled{m, roster})
	resp.Data[fCounting.Name] = vaultapi.Rows(rules, func(r engine.PlacedRule) map[string]any {
		why := roster.WhyNot(m, r.Rule)
		return map[string]any{"policy": r.Policy, "operation": string(r.Gate), "rule": r.Rule.String(), "counts": why == "", "why": why}
	})
	if unread != nil {
		resp.AddWarning("rules are left out: " + unread.Error())
	}
	return resp, nil
}

func (approversAPI) remove(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	return nil, c.Approvers().Remove(ctx, fEntity.Get(c), pre)
}
