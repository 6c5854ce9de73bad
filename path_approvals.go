// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fApproval      = vaultapi.Text("id", "Id of the request: the digest of what is asked for, shortened.")
	fComment       = vaultapi.Text("comment", "What the approver says about it, for the record. At most 512 bytes.")
	fStateFilter   = vaultapi.Text("state", "Only requests in this state: pending, approved, executed, denied, withdrawn, void, expired or unreadable. Empty: all.").Query()
	fKeyFilter     = vaultapi.Text("key", "Only requests about this key. Empty: all.").Query()
	fMine          = vaultapi.Bool("mine", "Only requests that the caller made.").Query()
	fApprovalState = vaultapi.Text("state", "pending, approved, executed, denied, withdrawn, void (what it is about has changed), expired or unreadable (its record is damaged).")
	fOperation     = vaultapi.Text("operation", "What is asked for.")
	fSubject       = vaultapi.Text("subject", "What it is about: key, policy or mount, and its name.")
	fRule          = vaultapi.Text("rule", "Whose consent it needs.")
	fGiven         = vaultapi.Int("given", "Approvals that count now.")
	fRequester     = vaultapi.Text("requester", "Who asks: name and entity id.")
)

// approvalsAPI serves requests for consent.
type approvalsAPI struct{}

func (a approvalsAPI) paths() []path {
	return []path{
		a.table(), a.one(),
		a.step("approve", acts.Approve, fComment, a.vote(true)),
		a.step("deny", acts.Deny, fReason, a.vote(false)),
		a.step("withdraw", acts.Withdraw, fReason, a.withdraw),
	}
}

func (a approvalsAPI) table() path {
	table := tableOf("approvals", vaultapi.Strict, "By request: its operation, subject, state, requester, rule, how many approvals count, and until when it is open.", a.list)
	table.Fields = table.Fields.With(fStateFilter, fKeyFilter, fMine)
	return table
}

// namedApproval is the part of a pattern that is an id.
var namedApproval = framework.GenericNameRegex(fApproval.Name)

func (a approvalsAPI) one() path {
	return path{
		Pattern: "approvals/" + namedApproval, ID: vaultapi.ID{Suffix: "approval"}, Mode: vaultapi.Strict, Fields: vaultapi.FieldsOf(fApproval),
		Operations: operations{logical.ReadOperation: {
			Handle: a.read, Summary: "Read a request for consent: what is asked for, by whom, what it does, and the votes.", Answer: "The request.", Fields: approvalAnswer.Fields(),
		}},
		Synopsis:    "Read a request for consent.",
		Description: "Where a rule asks for the consent of others, the refused command makes a request (status 428). Its id is the digest of exactly what was asked for. When it is approved, its requester repeats the command.",
	}
}

func (a approvalsAPI) step(verb string, act acts.Name, extra vaultapi.Declared, handle handler) path {
	row, _ := acts.Of(acts.Request, act)
	return path{
		Pattern: "approvals/" + namedApproval + "/" + verb, ID: vaultapi.ID{Verb: verb, Suffix: "approval"}, Mode: vaultapi.Strict,
		Fields:      vaultapi.FieldsOf(fApproval, extra),
		Operations:  operations{logical.UpdateOperation: {Handle: handle, Summary: row.Help, Answer: "The request.", Fields: approvalAnswer.Fields()}},
		Synopsis:    row.Help,
		Description: row.Help + " Votes are those of entities that have enrolled as approvers and are in a group of the rule; each counts once, and who asks is never counted. They are asked for again when the request is executed.",
	}
}

// shownApproval is a request in an answer.
type shownApproval struct {
	id string
	engine.Request
}

var approvalAnswer = vaultapi.Answer[shownApproval]{
	vaultapi.Show(fApproval, func(r shownApproval) string { return r.id }),
	vaultapi.Show(fApprovalState, func(r shownApproval) string { return string(r.State) }),
	vaultapi.Show(vaultapi.Text("status", "The state in a sentence: what is lacking, and until when."), statusText),
	vaultapi.Show(fOperation, func(r shownApproval) string { return string(r.Content.Operation) }),
	vaultapi.Show(fSubject, func(r shownApproval) string { return unlessUnread(r, subjectText(r.Content)) }),
	vaultapi.Show(vaultapi.Text("effect", "What it does when it is executed."), func(r shownApproval) string { return r.Effect }),
	vaultapi.Show(vaultapi.Int("version", "Version of the key; 0: none in particular."), func(r shownApproval) int { return r.Content.Version }),
	vaultapi.Show(vaultapi.Int("revision", "Revision of the subject that it is for."), func(r shownApproval) int { return r.Content.Revision }),
	vaultapi.ShowAs(vaultapi.Pairs("parameters", "What else was given."), func(r shownApproval) map[string]string { return orEmpty(r.Content.Parameters) }),
	vaultapi.Show(fReason, func(r shownApproval) string { return r.Content.Reason }),
	vaultapi.Show(fRequester, func(r shownApproval) string { return personText(r.Content.Requester, r.Requester) }),
	vaultapi.Show(fRule, func(r shownApproval) string { return unlessUnread(r, r.Rule.String()) }),
	vaultapi.Show(vaultapi.Text("policy", "Policy and revision whose rule it is; empty: config/approvals."), func(r shownApproval) string { return r.Content.Policy.String() }),
	vaultapi.Show(fGiven, func(r shownApproval) int { return r.Counting }),
	vaultapi.Show(vaultapi.List("votes", "The oldest first: entity_id, name, vote, time, comment, counts, why_not."), votesOf),
	vaultapi.Show(vaultapi.Text("created_time", "When it was asked for, RFC 3339."), func(r shownApproval) string { return vaultapi.Time(r.Created) }),
	vaultapi.Show(vaultapi.Text("approve_by", "Until when enough votes have to be there, RFC 3339."), func(r shownApproval) string { return vaultapi.Time(r.ApproveBy()) }),
	vaultapi.Show(vaultapi.Text("execute_by", "Until when it may be executed, RFC 3339, or be voted on again where a vote does not count any more; empty: it was not approved."), func(r shownApproval) string { return vaultapi.Time(r.ExecuteBy()) }),
	vaultapi.Show(vaultapi.Text("digest", "SHA-256 of what is asked for, in hex."), func(r shownApproval) string { return r.Digest }),
	vaultapi.Show(vaultapi.Int("round", "How often the same was asked for."), func(r shownApproval) int { return r.Round }),
}

var approvalRows = approvalAnswer.Only("operation", "subject", "version", "state", "requester", "rule", "given", "approve_by")

// unlessUnread is a text about a request of which something is known.
func unlessUnread(r shownApproval, text string) string {
	if r.Unread != "" {
		return ""
	}
	return text
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func personText(id, name string) string { return consent.Person{ID: id, Name: name}.String() }

func subjectText(c consent.Content) string {
	switch c.Subject.Scope {
	case acts.Mount:
		return "mount"
	case acts.Policy:
		return "policy " + c.Subject.Name
	default:
		return "key " + c.Subject.Name
	}
}

// statusText says what is lacking.
func statusText(r shownApproval) string {
	switch r.State {
	case consent.Pending:
		return fmt.Sprintf("pending: %s, %d so far, until %s", r.Rule, r.Counting, vaultapi.Time(r.OpenUntil()))
	case consent.Approved:
		return fmt.Sprintf("approved: to be executed by %s until %s", r.Requester, vaultapi.Time(r.ExecuteBy()))
	case consent.Denied, consent.Withdrawn:
		return string(r.State) + ": " + r.Closing
	case consent.Unreadable:
		return string(r.State) + ": " + r.Unread
	default:
		return string(r.State)
	}
}

func votesOf(r shownApproval) []any {
	votes := make([]any, len(r.Votes))
	for i, v := range r.Votes {
		vote := "deny"
		if v.Approve {
			vote = "approve"
		}
		why := ""
		if i < len(r.Discounts) {
			why = r.Discounts[i]
		}
		votes[i] = map[string]any{
			"entity_id": v.Entity, "name": v.Name, "vote": vote, "time": vaultapi.Time(v.At), "comment": v.Comment, "counts": why == "", "why_not": why,
		}
	}
	return votes
}

func (a approvalsAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	id := fApproval.Get(c)
	r, err := c.Approvals().Read(ctx, id)
	if err != nil {
		return nil, err
	}
	return approvalAnswer.Of(shownApproval{id, r}), nil
}

func answerApproval(r engine.Request, err error) (*logical.Response, error) {
	if err != nil {
		return nil, err
	}
	return approvalAnswer.Of(shownApproval{r.ID(), r}), nil
}

func (a approvalsAPI) list(ctx context.Context, c *request) (*logical.Response, error) {
	ids, err := c.Approvals().IDs(ctx)
	if err != nil {
		return nil, err
	}
	if ids, err = a.filtered(ctx, c, ids); err != nil {
		return nil, err
	}
	listing, err := vaultapi.ListNames(c, ids)
	if err != nil {
		return nil, err
	}
	return vaultapi.Table(ctx, listing, approvalRows, func(id string) (*shownApproval, error) {
		r, err := c.Approvals().Read(ctx, id)
		return unlessGone(shownApproval{id, r}, err)
	})
}

// filtered returns the requests that are asked for.
func (a approvalsAPI) filtered(ctx context.Context, c *request, ids []string) ([]string, error) {
	state, key, mine := fStateFilter.Get(c), fKeyFilter.Get(c), fMine.Get(c)
	if state == "" && key == "" && !mine {
		return ids, nil
	}
	var kept []string
	for _, id := range ids {
		r, err := c.Approvals().Read(ctx, id)
		row, err := unlessGone(r, err)
		switch {
		case err != nil:
			return nil, err
		case row == nil,
			state != "" && state != string(r.State),
			key != "" && (r.Content.Subject.Scope != acts.Key || r.Content.Subject.Name != key),
			mine && (r.Content.Requester == "" || r.Content.Requester != c.stored.Asking().Actor.EntityID):
			continue
		}
		kept = append(kept, id)
	}
	return kept, nil
}

// vote is the handler of one.
func (a approvalsAPI) vote(approve bool) handler {
	return func(ctx context.Context, c *request) (*logical.Response, error) {
		said, err := a.said(c, approve)
		if err != nil {
			return nil, err
		}
		r, err := c.Approvals().Vote(ctx, fApproval.Get(c), approve, said)
		return answerApproval(r, err)
	}
}

func (a approvalsAPI) withdraw(ctx context.Context, c *request) (*logical.Response, error) {
	reason, err := a.said(c, false)
	if err != nil {
		return nil, err
	}
	r, err := c.Approvals().Withdraw(ctx, fApproval.Get(c), reason)
	return answerApproval(r, err)
}

// said reads what goes with a step: who ends a request says why.
func (a approvalsAPI) said(c *request, optional bool) (string, error) {
	const least, most = 10, 512
	field := fReason
	if optional {
		field = fComment
	}
	text := field.Get(c)
	switch {
	case len(text) > most:
		return "", vaultapi.InvalidField(field.Name, text, "at most 512 bytes")
	case !optional && len(text) < least:
		return "", vaultapi.InvalidField(field.Name, text, "at least 10 bytes")
	}
	return text, nil
}
