// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fPolicyRevision = vaultapi.Int("revision", "Number of the revision; the first is 1.")
	fOwnerShown     = vaultapi.Text("owner", "Who answers for the policy.")
	fPolicyMade     = vaultapi.Text("created_time", "When the revision was written, RFC 3339.")
	fRevisions      = vaultapi.Strings("keys", "Numbers of the revisions, the oldest first.")
)

// policiesAPI serves the policies, their revisions, and what a policy would do to its keys.
type policiesAPI struct{}

func (a policiesAPI) paths() []path {
	return []path{
		tableOf("policies", vaultapi.Strict, "By policy: its owner and revision, when it rotates keys, and how many are bound to it.", a.list), a.policy(),
		a.revisions(), a.revision(), a.planPath(), a.driftPath(),
	}
}

func (a policiesAPI) policy() path {
	write := operation{
		Handle: a.write, ID: vaultapi.ID{Verb: "write"}, Answer: "The revision in force.", Fields: policyFields,
		Summary: "Write a policy. What is not given stays as it is, or gets its default in a new policy.",
	}
	return path{
		Pattern: "policies/" + named, ID: vaultapi.ID{Suffix: "policy"}, Mode: vaultapi.Strict,
		Fields: contentFields.With(fPolicyName, fDocument, fCAS, fReason),
		Exists: a.exists,
		Operations: operations{
			logical.CreateOperation: write,
			logical.UpdateOperation: write,
			logical.ReadOperation: {
				Handle: a.read, ID: vaultapi.ID{Verb: "read"}, Answer: "The revision in force.", Fields: policyFields,
				Summary: "Read the revision of a policy that is in force.",
			},
			logical.DeleteOperation: {
				Handle: a.delete, ID: vaultapi.ID{Verb: "delete"}, Answer: "There is no such policy any more.",
				Summary: "Delete a policy and its revisions. Refused while a key is bound to it, or new keys get it.",
			},
		},
		Synopsis: "Write, read and delete a policy.",
		Description: "A policy says which keys may be bound to it, when they rotate and what becomes of their versions. It is " +
			"written field by field, or as a whole in HCL as document. Each write that changes it makes a new, immutable revision, " +
			"and the keys bound to it follow with the next ticks. Durations read back as they were written, a number of seconds as a number.",
	}
}

func (a policiesAPI) revisions() path {
	return path{
		Pattern: "policies/" + named + "/revisions/?$", ID: vaultapi.ID{Suffix: "policy-revisions"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fPolicyName, vaultapi.AfterNumber, vaultapi.Limit),
		Operations: operations{logical.ListOperation: {
			Handle: a.listRevisions, Summary: "List the revisions of a policy.", Answer: "Numbers of the revisions.",
			Fields: vaultapi.FieldsOf(fRevisions, vaultapi.KeyInfo("By revision: when it was written, and which fields it changed."), vaultapi.Next),
		}},
		Synopsis:    "List the revisions of a policy.",
		Description: "Numbers come in numeric order, the last one is in force. With limit, a page of them; after takes the last number of the page before.",
	}
}

func (a policiesAPI) revision() path {
	return path{
		Pattern: "policies/" + named + `/revisions/(?P<revision>\d+)`, ID: vaultapi.ID{Suffix: "policy-revision"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fPolicyName, fPolicyRevision),
		Operations: operations{logical.ReadOperation: {
			Handle: a.readRevision, Summary: "Read a revision of a policy.", Answer: "The revision.", Fields: policyFields,
		}},
		Synopsis:    "Read a revision of a policy.",
		Description: "Revisions are immutable. They are there until the policy is deleted.",
	}
}

func (a policiesAPI) write(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	policy, err := c.Policies().Put(ctx, fPolicyName.Get(c), c.edit, pre)
	if err != nil {
		return nil, err
	}
	resp := policyResponse(policy)
	resp.Warnings = policy.Warnings()
	return resp, nil
}

// edit is what the request makes of a policy.
func (c *request) edit(doc policy.Document) (policy.Document, error) { return editPolicy(c, doc) }

func (a policiesAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	policy, err := c.Policies().Read(ctx, fPolicyName.Get(c))
	if err != nil {
		return nil, err
	}
	return policyResponse(policy), nil
}

func (a policiesAPI) delete(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	return nil, c.Policies().Delete(ctx, fPolicyName.Get(c), pre)
}

func (a policiesAPI) exists(ctx context.Context, c *request) error {
	_, err := c.Policies().Read(ctx, fPolicyName.Get(c))
	if errors.Is(err, refusal.ErrUnreadable) {
		return nil // it is there
	}
	return err
}

func (a policiesAPI) listRevisions(ctx context.Context, c *request) (*logical.Response, error) {
	last, err := c.Policies().Revisions(ctx, fPolicyName.Get(c))
	if err != nil {
		return nil, err
	}
	listing, err := vaultapi.ListNumbers(ctx, c, last)
	if err != nil {
		return nil, err
	}
	before := policy.Policy{Document: policy.DefaultDocument()}
	return vaultapi.Table(ctx, listing, revisionRows, func(name string) (*revisionRow, error) {
		row, err := a.revisionRow(ctx, c, before, number(name))
		before = row.after
		return unlessGone(row, err)
	})
}

// revisionRow is a revision in a table.
type revisionRow struct{ before, after policy.Policy }

var revisionRows = vaultapi.Answer[revisionRow]{
	vaultapi.Show(fPolicyMade, func(r revisionRow) string { return vaultapi.Time(r.after.Created) }),
	vaultapi.Show(fOwnerShown, func(r revisionRow) string { return r.after.Owner }),
	vaultapi.Show(vaultapi.Text("changes", "The fields that differ from the revision before."), func(r revisionRow) string {
		return strings.Join(slices.Sorted(maps.Keys(differences(r.before, r.after))), ", ")
	}),
}

// revisionRow reads a revision, and the one before it unless that is known. Where that one cannot be read, nothing is said
// to have changed.
func (a policiesAPI) revisionRow(ctx context.Context, c *request, before policy.Policy, n int) (revisionRow, error) {
	after, err := c.Policies().Revision(ctx, fPolicyName.Get(c), n)
	if err != nil {
		return revisionRow{}, err
	}
	if before.Revision != n-1 {
		if before, err = c.Policies().Revision(ctx, fPolicyName.Get(c), n-1); err != nil {
			before = after
		}
	}
	return revisionRow{before, after}, nil
}

// policyRow is a policy in a table.
type policyRow struct {
	policy.Policy
	bound int
}

var policyRows = vaultapi.Answer[policyRow]{
	vaultapi.Show(fOwnerShown, func(r policyRow) string { return r.Owner }),
	vaultapi.Show(fPolicyRevision, func(r policyRow) int { return r.Revision }),
	vaultapi.Show(fKeysBound, func(r policyRow) int { return r.bound }),
	vaultapi.Show(vaultapi.Text("rotation_period", "Time between rotations."), func(r policyRow) string { return periodText(r.RotationPeriod.Duration) }),
	vaultapi.Show(vaultapi.Text("rotation_schedule", "Cron expression: when keys rotate."), func(r policyRow) string { return r.RotationSchedule }),
}

// periodText is a period in a table; empty: there is none.
func periodText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return schedule.DurationText(d)
}

func (a policiesAPI) list(ctx context.Context, c *request) (*logical.Response, error) {
	names, err := c.Policies().Names(ctx)
	if err != nil {
		return nil, err
	}
	listing, err := vaultapi.ListNames(c, names)
	if err != nil {
		return nil, err
	}
	return vaultapi.Table(ctx, listing, policyRows, func(name string) (*policyRow, error) {
		policy, bound, err := c.Policies().Summary(ctx, name)
		return unlessGone(policyRow{policy, bound}, err)
	})
}

func (a policiesAPI) readRevision(ctx context.Context, c *request) (*logical.Response, error) {
	policy, err := c.Policies().Revision(ctx, fPolicyName.Get(c), fPolicyRevision.Get(c))
	if err != nil {
		return nil, err
	}
	return policyResponse(policy), nil
}
