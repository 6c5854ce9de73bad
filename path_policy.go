// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"strconv"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fPolicyRevision = vaultapi.Int("revision", "Number of the revision; the first is 1.")
	fRevisions      = vaultapi.Strings("keys", "Numbers of the revisions, the oldest first.")
)

// policiesAPI serves the policies, their revisions, and what a policy would do to its keys.
type policiesAPI struct{}

func (a policiesAPI) paths() []path {
	return []path{
		listNames("policies", vaultapi.Strict, func(ctx context.Context, c *request) ([]string, error) { return c.Policies().Names(ctx) }), a.policy(),
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
			Handle: a.listRevisions, Summary: "List the revisions of a policy.", Answer: "Numbers of the revisions.", Fields: vaultapi.FieldsOf(fRevisions),
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
	return policyResponse(policy), nil
}

// edit is what the request makes of a policy.
func (c *request) edit(doc lifecycle.Document) (lifecycle.Document, error) { return editPolicy(c, doc) }

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
	if errors.Is(err, lifecycle.ErrUnreadable) {
		return nil // it is there
	}
	return err
}

func (a policiesAPI) listRevisions(ctx context.Context, c *request) (*logical.Response, error) {
	last, err := c.Policies().Revisions(ctx, fPolicyName.Get(c))
	if err != nil {
		return nil, err
	}
	first, last, err := vaultapi.PageOfNumbers(c, last)
	if err != nil {
		return nil, err
	}
	var numbers []string
	for n := first; n <= last; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		numbers = append(numbers, strconv.Itoa(n))
	}
	return logical.ListResponse(numbers), nil
}

func (a policiesAPI) readRevision(ctx context.Context, c *request) (*logical.Response, error) {
	policy, err := c.Policies().Revision(ctx, fPolicyName.Get(c), fPolicyRevision.Get(c))
	if err != nil {
		return nil, err
	}
	return policyResponse(policy), nil
}
