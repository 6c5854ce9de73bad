// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

func (b *backend) pathPolicies() []*framework.Path {
	write := &framework.PathOperation{
		Callback:     b.handleStrict(b.writePolicy),
		Summary:      "Write a policy. What is not given stays as it is, or gets its default in a new policy.",
		DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "write"},
		Responses:    ok("The revision in force.", policyFields),
	}
	return []*framework.Path{
		b.listPath("policies", b.handleStrict, b.engine.PolicyNames),
		{
			Pattern:        "policies/" + framework.GenericNameRegex(fPolicyName.name),
			DisplayAttrs:   &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "policy"},
			Fields:         with(contentFields, fPolicyName, fDocument, fCAS, fReason),
			ExistenceCheck: b.existenceCheck(b.policyExists),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.CreateOperation: write,
				logical.UpdateOperation: write,
				logical.ReadOperation: &framework.PathOperation{
					Callback:     b.handleStrict(b.readPolicy),
					Summary:      "Read the revision of a policy that is in force.",
					DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "read"},
					Responses:    ok("The revision in force.", policyFields),
				},
				logical.DeleteOperation: &framework.PathOperation{
					Callback:     b.handleStrict(b.deletePolicy),
					Summary:      "Delete a policy and its revisions. Refused while a key is bound to it, or new keys get it.",
					DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "delete"},
					Responses:    done("There is no such policy any more."),
				},
			},
			HelpSynopsis: "Write, read and delete a policy.",
			HelpDescription: "A policy says which keys may be bound to it, when they rotate and what becomes of their versions. It is " +
				"written field by field, or as a whole in HCL as document. Each write that changes it makes a new, immutable revision, " +
				"and the keys bound to it follow with the next ticks. Durations read back as they were written, a number of seconds as a number.",
		},
	}
}

func (b *backend) writePolicy(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	policy, err := b.engine.PutPolicy(ctx, c.store, fPolicyName.get(c), c.edit, pre)
	if err != nil {
		return nil, err
	}
	return policyResponse(policy), nil
}

// edit is what the request makes of a policy.
func (c *request) edit(doc lifecycle.Document) (lifecycle.Document, error) { return editPolicy(c, doc) }

func (b *backend) readPolicy(ctx context.Context, c *request) (*logical.Response, error) {
	policy, err := b.engine.Policy(ctx, c.store, fPolicyName.get(c))
	if err != nil {
		return nil, err
	}
	return policyResponse(policy), nil
}

func (b *backend) deletePolicy(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	return nil, b.engine.DeletePolicy(ctx, c.store, fPolicyName.get(c), pre)
}

func (b *backend) policyExists(ctx context.Context, c *request) error {
	_, err := b.engine.Policy(ctx, c.store, fPolicyName.get(c))
	if errors.Is(err, lifecycle.ErrUnreadable) {
		return nil // it is there
	}
	return err
}
