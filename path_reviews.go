// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"slices"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fReview        = vaultapi.Text("id", "Id of the review: the digest of what was done, shortened.")
	fReviewFilter  = vaultapi.Text("state", "Only reviews in this state: open, overdue, justified, rejected or void. Empty: all.").Query()
	fReviewState   = vaultapi.Text("state", "open, overdue, justified, rejected, or void: the act did not take effect.")
	fActor         = vaultapi.Text("actor", "Who did it: name and entity id; of a token without an entity its display name.")
	fDue           = vaultapi.Text("due_time", "Until when it is to be closed, RFC 3339. While a review is overdue nothing is done by break-glass.")
	fReviewVerdict = vaultapi.Text("verdict", "justified or rejected. It undoes nothing.")
)

// reviewsAPI serves the reviews of acts by break-glass.
type reviewsAPI struct{}

func (a reviewsAPI) paths() []path {
	table := tableOf("reviews", vaultapi.Strict, "By review: the operation, its subject, version, actor and the rule that was passed over, the state, and when it is due.", a.list)
	table.Fields = table.Fields.With(fReviewFilter)
	return []path{table, a.one(), a.closePath()}
}

// namedReview is the part of a pattern that is an id.
var namedReview = framework.GenericNameRegex(fReview.Name)

func (a reviewsAPI) one() path {
	help := "Read the review of an act by break-glass: what was done, by whom, and what others say of it."
	return path{
		Pattern: "reviews/" + namedReview, ID: vaultapi.ID{Suffix: "review"}, Mode: vaultapi.Strict, Fields: vaultapi.FieldsOf(fReview),
		Operations:  operations{logical.ReadOperation: {Handle: a.read, Summary: help, Answer: "The review.", Fields: reviewAnswer.Fields()}},
		Synopsis:    help,
		Description: "What a rule asks for consent to, and somebody did at once with break_glass=true, has a review. It is written before the act takes effect.",
	}
}

func (a reviewsAPI) closePath() path {
	row, _ := acts.Of(acts.Review, acts.CloseReview)
	return path{
		Pattern: "reviews/" + namedReview + "/close", ID: vaultapi.ID{Verb: "close", Suffix: "review"}, Mode: vaultapi.Strict,
		Fields:      vaultapi.FieldsOf(fReview, fReviewVerdict, fReason),
		Operations:  operations{logical.UpdateOperation: {Handle: a.close, Summary: row.Help, Answer: "The review.", Fields: reviewAnswer.Fields()}},
		Synopsis:    row.Help,
		Description: row.Help + " Who counts under the rule that was passed over may close it, and never who did it. A review that is rejected undoes nothing.",
	}
}

var reviewAnswer = vaultapi.Answer[engine.Review]{
	vaultapi.Show(fReview, func(r engine.Review) string { return r.ID() }),
	vaultapi.Show(fReviewState, func(r engine.Review) string { return string(r.State) }),
	vaultapi.Show(vaultapi.Text("operation", "What was done."), func(r engine.Review) string { return string(r.Content.Operation) }),
	vaultapi.Show(vaultapi.Text("subject", "What it was done to: key, and its name."), func(r engine.Review) string { return subjectText(r.Content) }),
	vaultapi.Show(vaultapi.Int("version", "Version of the key; 0: the whole key."), func(r engine.Review) int { return r.Content.Version }),
	vaultapi.Show(vaultapi.Int("revision", "Revision of the key before."), func(r engine.Review) int { return r.Content.Revision }),
	vaultapi.ShowAs(vaultapi.Pairs("parameters", "What else was given."), func(r engine.Review) map[string]string { return orEmpty(r.Content.Parameters) }),
	vaultapi.Show(fReason, func(r engine.Review) string { return r.Content.Reason }),
	vaultapi.Show(fActor, engine.Review.By),
	vaultapi.Show(vaultapi.Text("rule", "The rule that was passed over."), func(r engine.Review) string { return r.Rule.String() }),
	vaultapi.Show(vaultapi.Text("policy", "Policy and revision whose rule it is."), func(r engine.Review) string { return r.Content.Policy.String() }),
	vaultapi.Show(vaultapi.Text("created_time", "When it was done, RFC 3339."), func(r engine.Review) string { return vaultapi.Time(r.Created) }),
	vaultapi.Show(fDue, func(r engine.Review) string { return vaultapi.Time(r.Due) }),
	vaultapi.Show(vaultapi.Int("custody_seq", "Number of the custody record with which the act began."), func(r engine.Review) int { return r.Began }),
	vaultapi.Show(fReviewVerdict, func(r engine.Review) string { return string(r.Verdict) }),
	vaultapi.Show(vaultapi.Text("reviewer", "Who closed it: name and entity id. Empty: nobody has."), reviewerText),
	vaultapi.Show(vaultapi.Text("closed_time", "When it was closed, RFC 3339; empty: it is not."), func(r engine.Review) string { return vaultapi.Time(r.Closed) }),
	vaultapi.Show(vaultapi.Text("closing_reason", "The reason for the verdict."), func(r engine.Review) string { return r.Closing }),
	vaultapi.Show(vaultapi.Text("digest", "SHA-256 of what was done, in hex, as a request for consent to it has it."), func(r engine.Review) string { return r.Digest }),
}

var reviewRows = reviewAnswer.Only("operation", "subject", "version", "state", "actor", "rule", "due_time")

func reviewerText(r engine.Review) string {
	if r.Reviewer == "" {
		return ""
	}
	return personText(r.Reviewer, r.Name)
}

func (a reviewsAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	r, err := c.Reviews().Read(ctx, fReview.Get(c))
	if err != nil {
		return nil, err
	}
	return reviewAnswer.Of(r), nil
}

func (a reviewsAPI) list(ctx context.Context, c *request) (*logical.Response, error) {
	ids, err := c.Reviews().IDs(ctx)
	if err != nil {
		return nil, err
	}
	row := func(id string) (*engine.Review, error) {
		r, err := c.Reviews().Read(ctx, id)
		return unlessGone(r, err)
	}
	if state := fReviewFilter.Get(c); state != "" {
		if ids, err = inState(ids, consent.State(state), row); err != nil {
			return nil, err
		}
	}
	listing, err := vaultapi.ListNames(c, ids)
	if err != nil {
		return nil, err
	}
	return vaultapi.Table(ctx, listing, reviewRows, row)
}

// inState returns the reviews that are in a state.
func inState(ids []string, state consent.State, of func(id string) (*engine.Review, error)) (kept []string, err error) {
	known := append(consent.Verdicts(), consent.Open, consent.Overdue, consent.Void)
	if !slices.Contains(known, state) {
		return nil, vaultapi.InvalidField(fReviewFilter.Name, string(state), "must be one of open, overdue, justified, rejected and void")
	}
	for _, id := range ids {
		r, err := of(id)
		if err != nil {
			return nil, err
		}
		if r != nil && r.State == state {
			kept = append(kept, id)
		}
	}
	return kept, nil
}

func (a reviewsAPI) close(ctx context.Context, c *request) (*logical.Response, error) {
	as := consent.State(fReviewVerdict.Get(c))
	if !slices.Contains(consent.Verdicts(), as) {
		return nil, vaultapi.InvalidField(fReviewVerdict.Name, string(as), "must be justified or rejected")
	}
	reason, err := approvalsAPI{}.said(c, false)
	if err != nil {
		return nil, err
	}
	r, err := c.Reviews().Close(ctx, fReview.Get(c), as, reason)
	if err != nil {
		return nil, err
	}
	return reviewAnswer.Of(r), nil
}
