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

func (b *backend) pathEncrypt() []*framework.Path {
	op := &framework.PathOperation{Callback: b.handle(b.encrypt), Responses: ok("The ciphertext, or batch_results.", protectedFields)}
	path := cipherPath("encrypt", []declared{fPlaintext, fKeyVersion, fIV, fPadding, fPartial, fType, fConvergent}, op,
		"Encrypt with a key; a key that does not exist is made first, unless config/keys forbids it.")
	path.Operations[logical.CreateOperation] = op
	path.ExistenceCheck = b.existenceCheck(func(ctx context.Context, c *request) error {
		found, err := b.engine.Exists(ctx, c.store, fName.get(c))
		if err == nil && !found {
			err = lifecycle.NoKey(fName.get(c))
		}
		return err
	})
	return []*framework.Path{path}
}

func readEncrypt(c *request) (batch, error) {
	one := func() (engine.Item, error) {
		text := fPlaintext.lookup(c)
		if text == nil {
			return engine.Item{}, lifecycle.Invalidf("missing plaintext to encrypt")
		}
		return engine.Item{
			Text: *text, Context: fContext.get(c), Nonce: fNonce.get(c), AssociatedData: fAAD.get(c),
			IV: fIV.get(c), Padding: fPadding.get(c), Version: fKeyVersion.get(c),
		}, nil
	}
	return readBatch(c, one, func(f *itemFields) engine.Item {
		f.required("plaintext", "encrypt")
		if f.object["plaintext"] == nil {
			f.fail("plaintext: must be a string, not null")
		}
		return engine.Item{
			Text: f.text("plaintext"), Context: f.text("context"), Nonce: f.text("nonce"),
			AssociatedData: f.text("associated_data"), IV: f.text("iv"), Padding: f.padding(), Version: f.integer("key_version"),
		}
	})
}

func (b *backend) encrypt(ctx context.Context, c *request) (*logical.Response, error) {
	in, err := readEncrypt(c)
	if err != nil {
		return nil, err
	}
	outcomes, warning, err := b.encryptItems(ctx, c, in)
	if err != nil {
		return nil, err
	}
	resp, err := protected(in, outcomes)
	if err != nil {
		return nil, err
	}
	if warning != "" {
		resp.AddWarning(warning)
	}
	return batchStatus(c, in, outcomes, resp)
}

// encryptItems makes the key where Vault found none, and warns where another request made it meanwhile.
func (b *backend) encryptItems(ctx context.Context, c *request, in batch) (outcomes []engine.Outcome, warning string, err error) {
	if c.req.Operation != logical.CreateOperation {
		outcomes, err = b.engine.Encrypt(ctx, c.store, fName.get(c), in.items)
		return outcomes, "", err
	}
	spec, err := readUpsert(c, in)
	if err != nil {
		return nil, "", err
	}
	outcomes, created, err := b.engine.EncryptOrCreate(ctx, c.store, spec, in.items)
	if !created && anySucceeded(outcomes) {
		warning = "Attempted creation of the key during the encrypt operation, but it was created beforehand"
	}
	return outcomes, warning, err
}

func readUpsert(c *request, in batch) (lifecycle.Key, error) {
	convergent := fConvergent.get(c)
	if convergent && len(in.items) > 0 && in.items[0].Context == "" {
		return lifecycle.Key{}, lifecycle.Invalidf("convergent encryption requires derivation to be enabled, so context is required")
	}
	t, err := lifecycle.ParseType(fType.get(c))
	return lifecycle.Key{Name: fName.get(c), Type: t, Convergent: convergent}, err
}
