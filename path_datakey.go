// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"encoding/base64"
	"slices"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var (
	fForm = newField[string]("plaintext", framework.TypeString, `"plaintext" returns the data key in the clear and encrypted, "wrapped" only encrypted.`)
	fBits = newField[int]("bits", framework.TypeInt, "Size of the data key in bits: 128, 256 or 512.").or(256)
)

func (b *backend) pathDatakey() []*framework.Path {
	return []*framework.Path{{
		Pattern:      "datakey/" + framework.GenericNameRegex(fForm.name) + "/" + framework.GenericNameRegex(fName.name),
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationVerb: "generate", OperationSuffix: "data-key"},
		Fields:       fields(fName, fForm, fContext, fNonce, fAAD, fBits, fKeyVersion, fPadding),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback:  b.handle(b.datakey),
				Summary:   "Make a data key, encrypted with a key.",
				Responses: ok("The data key.", fields(fCiphertext, fKeyVersion, fPlaintext)),
			},
		},
		HelpSynopsis:    "Make a data key.",
		HelpDescription: "Draws random bytes for local encryption and returns them encrypted with the named key; datakey/plaintext/:name also in the clear. Takes associated_data.",
	}}
}

func readDatakey(c *request) (form string, bits int, item engine.Item, err error) {
	form, bits = fForm.get(c), fBits.get(c)
	item = engine.Item{Context: fContext.get(c), Nonce: fNonce.get(c), AssociatedData: fAAD.get(c), Version: fKeyVersion.get(c)}
	switch {
	case fPadding.lookup(c) != nil:
		err = engine.ErrPadding
	case form != "plaintext" && form != "wrapped":
		err = lifecycle.Invalidf("Invalid path, must be 'plaintext' or 'wrapped', not %q", form)
	case !slices.Contains([]int{128, 256, 512}, bits):
		err = lifecycle.InvalidField("bits", bits, "invalid bit length; must be 128, 256 or 512")
	case !isBase64(item.Context):
		err = lifecycle.Invalidf("context: failed to base64-decode context")
	case !isBase64(item.Nonce):
		err = lifecycle.Invalidf("nonce: failed to base64-decode nonce")
	}
	return form, bits, item, err
}

func isBase64(text string) bool {
	_, err := base64.StdEncoding.DecodeString(text)
	return err == nil
}

func (b *backend) datakey(ctx context.Context, c *request) (*logical.Response, error) {
	form, bits, item, err := readDatakey(c)
	if err != nil {
		return nil, err
	}
	plaintext, wrapped, err := b.engine.Datakey(ctx, c.store, fName.get(c), bits, item)
	if err != nil {
		return nil, err
	}
	resp := &logical.Response{Data: map[string]any{"ciphertext": wrapped.Text, "key_version": wrapped.Version}}
	if form == "plaintext" {
		resp.Data["plaintext"] = plaintext
	}
	return resp, nil
}
