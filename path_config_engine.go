// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var (
	fRequirePolicy   = newField[bool]("require_policy", framework.TypeBool, "Every new key has a policy, and no key is detached from its policy.")
	fDefaultPolicy   = newField[string]("default_policy", framework.TypeString, "Policy of new keys whose maker names none. It has to exist. Empty: none.")
	governanceFields = fields(fRequirePolicy, fDefaultPolicy)
)

func (b *backend) pathConfigEngine() []*framework.Path {
	return []*framework.Path{{
		Pattern:      "config/engine",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix},
		Fields:       with(governanceFields, fReason),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback:     b.handleStrict(b.writeConfigEngine),
				Summary:      "Configure how new keys come under a policy. What is not given stays.",
				DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "configure", OperationSuffix: "engine"},
				Responses:    ok("The configuration.", governanceFields),
			},
			logical.ReadOperation: &framework.PathOperation{
				Callback:     b.handleStrict(b.readConfigEngine),
				Summary:      "Read how new keys come under a policy.",
				DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "read", OperationSuffix: "engine-configuration"},
				Responses:    ok("The configuration.", governanceFields),
			},
		},
		HelpSynopsis: "Configure how keys come under a policy.",
		HelpDescription: "default_policy is for keys that are made without naming a policy, also by encrypting. With require_policy a key " +
			"without one is refused, and so is detaching a key. Keys that are there already stay as they are.",
	}}
}

func (b *backend) writeConfigEngine(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	g, err := b.engine.SetGovernance(ctx, c.store, engine.GovernanceChange{
		RequirePolicy: fRequirePolicy.lookupNonNull(c), DefaultPolicy: fDefaultPolicy.lookupNonNull(c), Reason: pre.Reason,
	})
	if err != nil {
		return nil, err
	}
	resp := governanceResponse(g)
	if g.RequirePolicy {
		resp.AddWarning("require_policy is for keys that are made from now on; a key that has no policy stays without one until it is bound")
	}
	return resp, nil
}

func (b *backend) readConfigEngine(ctx context.Context, c *request) (*logical.Response, error) {
	g, err := b.engine.Governance(ctx, c.store)
	if err != nil {
		return nil, err
	}
	return governanceResponse(g), nil
}

func governanceResponse(g lifecycle.Governance) *logical.Response {
	return &logical.Response{Data: map[string]any{fRequirePolicy.name: g.RequirePolicy, fDefaultPolicy.name: g.DefaultPolicy}}
}
