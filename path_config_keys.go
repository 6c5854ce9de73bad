// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

var fDisableUpsert = newField[bool]("disable_upsert", framework.TypeBool, "Encrypting with a key that does not exist is an error, rather than making it.")

func (b *backend) pathConfigKeys() []*framework.Path {
	return []*framework.Path{{
		Pattern:      "config/keys",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix},
		Fields:       fields(fDisableUpsert),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback:     b.handle(b.writeConfigKeys),
				Summary:      "Configure the keys of the mount. What is not given gets its default.",
				DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "configure", OperationSuffix: "keys"},
				Responses:    ok("The configuration.", fields(fDisableUpsert)),
			},
			logical.ReadOperation: &framework.PathOperation{
				Callback:     b.handle(b.readConfigKeys),
				Summary:      "Read the configuration of the mount's keys.",
				DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "read", OperationSuffix: "keys-configuration"},
				Responses:    ok("The configuration.", fields(fDisableUpsert)),
			},
		},
		HelpSynopsis:    "Configure the keys of the mount.",
		HelpDescription: "With disable_upsert, encrypt does not make a key whose name it does not know: a misspelt name is then an error.",
	}}
}

func (b *backend) writeConfigKeys(ctx context.Context, c *request) (*logical.Response, error) {
	disable := fDisableUpsert.get(c)
	if err := c.store.SetDisableUpsert(ctx, disable); err != nil {
		return nil, err
	}
	return data(fDisableUpsert.name, disable), nil
}

func (b *backend) readConfigKeys(ctx context.Context, c *request) (*logical.Response, error) {
	disable, err := c.store.DisableUpsert(ctx)
	if err != nil {
		return nil, err
	}
	return data(fDisableUpsert.name, disable), nil
}
