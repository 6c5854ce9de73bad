// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
)

var (
	fDecryptPadding = newField[string]("decrypt_padding_scheme", framework.TypeString, "As padding_scheme, for opening.")
	fEncryptPadding = newField[string]("encrypt_padding_scheme", framework.TypeString, "As padding_scheme, for encrypting anew.")
)

func (b *backend) pathRewrap() []*framework.Path {
	op := &framework.PathOperation{Callback: b.handle(b.rewrap), Responses: ok("The new ciphertext, or batch_results.", protectedFields)}
	return []*framework.Path{cipherPath("rewrap", []declared{fCiphertext, fKeyVersion, fDecryptPadding, fEncryptPadding}, op,
		"Encrypt a ciphertext anew with the active version, without showing its plaintext. Takes associated_data.")}
}

func readRewrap(c *request) (batch, error) {
	one := func() (engine.Item, error) {
		return engine.Item{
			Text: fCiphertext.get(c), Context: fContext.get(c), Nonce: fNonce.get(c), AssociatedData: fAAD.get(c),
			Padding: cmp.Or(fDecryptPadding.get(c), fEncryptPadding.get(c)), Version: fKeyVersion.get(c),
		}, checkCiphertext(fCiphertext.get(c))
	}
	return readItems(c, one, func(f *itemFields) engine.Item {
		return engine.Item{
			Text: f.text("ciphertext"), Context: f.text("context"), Nonce: f.text("nonce"),
			AssociatedData: f.text("associated_data"), Version: f.integer("key_version"),
			Padding: cmp.Or(f.text("decrypt_padding_scheme"), f.text("encrypt_padding_scheme")),
		}
	}, true)
}

// rewrap answers 200 whatever becomes of the items of a batch, unless one failed by our fault: then, as in Transit,
// the request did.
func (b *backend) rewrap(ctx context.Context, c *request) (*logical.Response, error) {
	in, err := readRewrap(c)
	if err != nil {
		return nil, err
	}
	outcomes, err := b.engine.Rewrap(ctx, c.store, fName.get(c), in.items)
	if err != nil {
		return nil, err
	}
	for _, o := range outcomes {
		if errors.Is(o.Err, engine.ErrFault) {
			return nil, o.Err
		}
	}
	resp, err := protected(in, outcomes)
	if err != nil {
		return nil, err
	}
	return resp, nil
}
