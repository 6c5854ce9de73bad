// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var (
	fCount        = newField[int]("count", framework.TypeInt, "How many events to show, 1 to 100.").or(10).query()
	keyPlanFields = fields(fName, fPolicy,
		newField[int]("policy_revision", framework.TypeInt, "Revision of the policy in force; 0: no policy."),
		newField[[]any]("events", framework.TypeSlice, "What the clock will do, soonest first: time (RFC 3339), act, version (0: the whole key) and why."))
)

func (b *backend) pathKeyPlan() []*framework.Path {
	return []*framework.Path{{
		Pattern:      "keys/" + framework.GenericNameRegex(fName.name) + "/plan",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "key-plan"},
		Fields:       fields(fName, fCount),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback: b.handleStrict(b.planKey), Summary: "Read what the clock will do to a key next, and why.",
				Responses: ok("The plan of the key.", keyPlanFields),
			},
		},
		HelpSynopsis: "What the clock will do to a key.",
		HelpDescription: "The next events of the key under its policy: rotations, promotions, archiving, retiring, destroying, each with its " +
			"time and the reason. As if nobody intervened, every attempt succeeded, and no use was denied.",
	}}
}

func (b *backend) planKey(ctx context.Context, c *request) (*logical.Response, error) {
	const most = 100
	n := fCount.get(c)
	if n < 1 || n > most {
		return nil, lifecycle.InvalidField(fCount.name, n, "must be between 1 and 100")
	}
	view, events, err := b.engine.Forecast(ctx, c.store, fName.get(c), n)
	if err != nil {
		return nil, err
	}
	revision := 0
	if view.Policy != nil {
		revision = view.Policy.Revision
	}
	list := make([]map[string]any, len(events))
	for i, event := range events {
		list[i] = map[string]any{"time": timeText(event.At), "act": event.Act, "version": event.Version, "why": event.Why}
	}
	return &logical.Response{Data: map[string]any{
		"name": view.Key.Name, "policy": view.Key.Policy, "policy_revision": revision, "events": list,
	}}, nil
}
