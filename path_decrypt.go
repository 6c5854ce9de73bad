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

func (b *backend) pathDecrypt() []*framework.Path {
	op := &framework.PathOperation{Callback: b.handle(b.decrypt), Responses: ok("The plaintext, or batch_results.", openedFields)}
	return []*framework.Path{cipherPath("decrypt", []declared{fCiphertext, fPadding, fPartial}, op, "Decrypt what the key encrypted.")}
}

func readDecrypt(c *request) (batch, error) {
	one := func() (engine.Item, error) {
		return engine.Item{
			Text: fCiphertext.get(c), Context: fContext.get(c), Nonce: fNonce.get(c), AssociatedData: fAAD.get(c),
			Padding: fPadding.get(c),
		}, checkCiphertext(fCiphertext.get(c))
	}
	return readBatch(c, one, func(f *itemFields) engine.Item {
		f.required("ciphertext", "decrypt")
		f.integer("key_version") // without effect, as iv, but Transit checks their types
		f.text("iv")
		return engine.Item{
			Text: f.text("ciphertext"), Context: f.text("context"), Nonce: f.text("nonce"),
			AssociatedData: f.text("associated_data"), Padding: f.padding(),
		}
	})
}

func checkCiphertext(text string) error {
	if text == "" {
		return lifecycle.Invalidf("missing ciphertext to decrypt")
	}
	return nil
}

func (b *backend) decrypt(ctx context.Context, c *request) (*logical.Response, error) {
	in, err := readDecrypt(c)
	if err != nil {
		return nil, err
	}
	outcomes, err := b.engine.Decrypt(ctx, c.store, fName.get(c), in.items)
	if err != nil {
		return nil, err
	}
	resp, err := opened(in, outcomes)
	if err != nil {
		return nil, err
	}
	return batchStatus(c, in, outcomes, resp)
}
