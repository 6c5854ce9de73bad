// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strconv"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

var (
	fPolicyRevision = newField[int]("revision", framework.TypeInt, "Number of the revision; the first is 1.")
	fRevisions      = newField[[]string]("keys", framework.TypeStringSlice, "Numbers of the revisions, the oldest first.")
)

func (b *backend) pathPolicyRevisions() []*framework.Path {
	revisions := "policies/" + framework.GenericNameRegex(fPolicyName.name) + "/revisions"
	return []*framework.Path{
		{
			Pattern:      revisions + "/?$",
			DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "policy-revisions"},
			Fields:       fields(fPolicyName, fAfterNumber, fLimit),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: &framework.PathOperation{
					Callback: b.handleStrict(b.listRevisions), Summary: "List the revisions of a policy.",
					Responses: ok("Numbers of the revisions.", fields(fRevisions)),
				},
			},
			HelpSynopsis:    "List the revisions of a policy.",
			HelpDescription: "Numbers come in numeric order, the last one is in force. With limit, a page of them; after takes the last number of the page before.",
		},
		{
			Pattern:      revisions + `/(?P<revision>\d+)`,
			DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "policy-revision"},
			Fields:       fields(fPolicyName, fPolicyRevision),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: &framework.PathOperation{
					Callback: b.handleStrict(b.readRevision), Summary: "Read a revision of a policy.",
					Responses: ok("The revision.", policyFields),
				},
			},
			HelpSynopsis:    "Read a revision of a policy.",
			HelpDescription: "Revisions are immutable. They are there until the policy is deleted.",
		},
	}
}

func (b *backend) listRevisions(ctx context.Context, c *request) (*logical.Response, error) {
	last, err := b.engine.Revisions(ctx, c.store, fPolicyName.get(c))
	if err != nil {
		return nil, err
	}
	page, err := numberPage(c, last)
	if err != nil {
		return nil, err
	}
	var numbers []string
	for n := page.From; n <= page.To; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		numbers = append(numbers, strconv.Itoa(n))
	}
	return logical.ListResponse(numbers), nil
}

func (b *backend) readRevision(ctx context.Context, c *request) (*logical.Response, error) {
	policy, err := b.engine.PolicyRevision(ctx, c.store, fPolicyName.get(c), fPolicyRevision.get(c))
	if err != nil {
		return nil, err
	}
	return policyResponse(policy), nil
}
