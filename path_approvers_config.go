// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// The settings of the mount about consent.
var (
	fApprovals        = vaultapi.Pairs(consent.FieldApprovals, `Operation on the mount to the rule that says whose consent it needs: "2 of key-approvers", with more groups behind commas. Given, it replaces all that were.`)
	fDuties           = vaultapi.Text(consent.FieldDuties, "What an approver accepts. At most 4 KiB.")
	fAcknowledgeEvery = vaultapi.Seconds(consent.FieldAcknowledgeEvery, "How long an acknowledgement of the duties counts, 1 day to 10 years.").Or(seconds(consent.DefaultAcknowledgeEvery))
	fApproverWait     = vaultapi.Seconds(consent.FieldApproverWait, "How long after enrolling an approver begins to count, at most 30 days.").Or(seconds(consent.DefaultApproverWait))
	fAuthMount        = vaultapi.Text(consent.FieldAuthMount, "Accessor of the auth mount at which an approver has to have an alias. Empty: any.")
	fBreakGlassGroups = vaultapi.Texts(consent.FieldBreakGlassGroups, "Groups whose members may act without consent, by name or id; at most 8.")
	fBreakGlassRoot   = vaultapi.Bool(consent.FieldBreakGlassRoot, "A token without an entity may act without consent, too.")
	fBreakGlassActs   = vaultapi.Texts(consent.FieldBreakGlassOperations, "What may be done without consent: of promote, rollback, resume, recover and restore.").Or(textsOf(consent.DefaultSettings().BreakGlassOperations))
	fReviewWithin     = vaultapi.Seconds(consent.FieldReviewWithin, "How long after an act without consent its review is due, 1 hour to 30 days.").Or(seconds(consent.DefaultReviewWithin))
	fApprovalRevision = vaultapi.Int("revision", "How often the settings were changed. 0: never.")
)

var approvalsAnswer = vaultapi.Answer[consent.Settings]{
	vaultapi.Show(fApprovalRevision, func(s consent.Settings) int { return s.Revision }),
	vaultapi.Show(fApprovals, ruleTexts),
	vaultapi.Show(fDuties, func(s consent.Settings) string { return s.Duties }),
	vaultapi.Show(fAcknowledgeEvery, func(s consent.Settings) int { return seconds(s.AcknowledgeEvery) }),
	vaultapi.Show(fApproverWait, func(s consent.Settings) int { return seconds(s.ApproverWait) }),
	vaultapi.Show(fAuthMount, func(s consent.Settings) string { return s.AuthMount }),
	vaultapi.Show(fBreakGlassGroups, func(s consent.Settings) []string { return append([]string{}, s.BreakGlassGroups...) }),
	vaultapi.Show(fBreakGlassRoot, func(s consent.Settings) bool { return s.BreakGlassRoot }),
	vaultapi.Show(fBreakGlassActs, func(s consent.Settings) []string { return textsOf(s.BreakGlassOperations) }),
	vaultapi.Show(fReviewWithin, func(s consent.Settings) int { return seconds(s.ReviewWithin) }),
}

func ruleTexts(s consent.Settings) map[string]string {
	texts := make(map[string]string, len(s.Approvals))
	for gate, rule := range s.Approvals {
		texts[string(gate)] = rule.String()
	}
	return texts
}

func textsOf(gates []acts.Gate) []string {
	texts := make([]string, len(gates))
	for i, gate := range gates {
		texts[i] = string(gate)
	}
	return texts
}

func (a approversAPI) config() path {
	settings := vaultapi.FieldsOf(fApprovals, fDuties, fAcknowledgeEvery, fApproverWait, fAuthMount, fBreakGlassGroups, fBreakGlassRoot, fBreakGlassActs, fReviewWithin)
	return path{
		Pattern: "config/approvals", Mode: vaultapi.Strict, Fields: settings.With(fCAS, fReason),
		Operations: operations{
			logical.UpdateOperation: {
				Handle: a.configure, ID: vaultapi.ID{Verb: "configure", Suffix: "approvals"}, Answer: "The configuration.", Fields: approvalsAnswer.Fields(),
				Summary: "Configure whose consent acts on the mount need, and who counts as an approver. What is not given stays.",
			},
			logical.ReadOperation: {
				Handle: a.readConfig, ID: vaultapi.ID{Verb: "read", Suffix: "approvals-configuration"}, Answer: "The configuration.", Fields: approvalsAnswer.Fields(),
				Summary: "Read whose consent acts on the mount need, and who counts as an approver.",
			},
		},
		Synopsis: "Configure whose consent acts on the mount need, and who counts as an approver.",
		Description: "The operations are those on the mount: " + strings.Join(textsOf(acts.Gates(acts.Mount)), ", ") + ". Those on keys and policies are in a policy. " +
			"A rule that fewer approvers could satisfy than one more than it needs is refused, so that one can be away: first people enrol, then there are rules. What only makes the settings stricter needs nobody's consent.",
	}
}

func (approversAPI) configure(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	s, err := c.Approvers().Configure(ctx, c.editApprovals, pre)
	if err != nil {
		return nil, err
	}
	return approvalsAnswer.Of(s), nil
}

// editApprovals lays the fields of a request over the settings. What is not given stays.
func (c *request) editApprovals(s consent.Settings) (consent.Settings, error) {
	if texts := fApprovals.LookupNonNull(c); texts != nil {
		rules, err := consent.ParseRules(*texts)
		if err != nil {
			return s, err
		}
		s.Approvals = rules
	}
	set(c, fDuties, &s.Duties)
	setAs(c, fAcknowledgeEvery, &s.AcknowledgeEvery, ofSeconds)
	setAs(c, fApproverWait, &s.ApproverWait, ofSeconds)
	set(c, fAuthMount, &s.AuthMount)
	set(c, fBreakGlassGroups, &s.BreakGlassGroups)
	set(c, fBreakGlassRoot, &s.BreakGlassRoot)
	setAs(c, fBreakGlassActs, &s.BreakGlassOperations, func(texts []string) []acts.Gate {
		gates := make([]acts.Gate, len(texts))
		for i, text := range texts {
			gates[i] = acts.Gate(text)
		}
		return gates
	})
	setAs(c, fReviewWithin, &s.ReviewWithin, ofSeconds)
	return s, nil
}

func (approversAPI) readConfig(ctx context.Context, c *request) (*logical.Response, error) {
	s, err := c.Approvers().Settings(ctx)
	if err != nil {
		return nil, err
	}
	return approvalsAnswer.Of(s), nil
}
