// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var (
	fType             = newField[string]("type", framework.TypeString, "Type of the key: aes128-gcm96, aes256-gcm96 or chacha20-poly1305.").or(string(lifecycle.DefaultType))
	fDerived          = newField[bool]("derived", framework.TypeBool, "Derive a key for each context. Every use of the key then needs a context.")
	fConvergent       = newField[bool]("convergent_encryption", framework.TypeBool, "Give equal plaintexts in equal contexts equal ciphertexts. Needs derived.")
	fExportable       = newField[bool]("exportable", framework.TypeBool, "Allow export of the key. Cannot be unset.")
	fPlaintextBackup  = newField[bool]("allow_plaintext_backup", framework.TypeBool, "Allow a backup of the key in the clear. Cannot be unset.")
	fAutoRotatePeriod = newField[int]("auto_rotate_period", framework.TypeDurationSecond, "Rotate the key by itself after this time, at least an hour; 0: never. For keys without a policy.")
	fKeySize          = newField[int]("key_size", framework.TypeInt, "Size of the key in bytes, for types that let it be chosen. No type of this release does.")
	fContext          = newField[string]("context", framework.TypeString, "Base64 context for key derivation. Required for derived keys, ignored by others.").secret().query()
	fPolicy           = newField[string]("policy", framework.TypeString, "Name of the policy that governs the key.")
	fOwner            = newField[string]("owner", framework.TypeString, "Who answers for the key. Free text.")
	fLabels           = newField[map[string]string]("labels", framework.TypeKVPairs, "Labels: at most 64 names of 1 to 64 bytes with values of at most 256 bytes.")
)

func (b *backend) pathKeys() []*framework.Path {
	return []*framework.Path{
		b.listPath("keys", b.handle, b.engine.Names),
		{
			Pattern:      "keys/" + framework.GenericNameRegex(fName.name),
			DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "key"},
			Fields: fields(fName, fType, fDerived, fConvergent, fExportable, fPlaintextBackup, fAutoRotatePeriod,
				fKeySize, fContext, fPolicy, fOwner, fLabels, fCAS, fReason),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: &framework.PathOperation{
					Callback:     b.handle(b.createKey),
					Summary:      "Create a key. Where one of the name exists, only policy, owner and labels are applied to it.",
					DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "create"},
					Responses:    ok("The key.", viewFields),
				},
				logical.ReadOperation: &framework.PathOperation{
					Callback:     b.handle(b.readKey),
					Summary:      "Read a key: settings, versions, rotation. Never its material.",
					DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "read"},
					Responses:    ok("The key.", viewFields),
				},
				logical.DeleteOperation: &framework.PathOperation{
					Callback:     b.handle(b.deleteKey),
					Summary:      "Destroy a key and all its versions at once. Needs deletion_allowed, and no policy.",
					DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "delete"},
					Responses:    done("The key is destroyed."),
				},
			},
			HelpSynopsis: "Create, read and delete a key.",
			HelpDescription: "A write creates a key with one version. With a policy, the key's type has to meet the policy, and the policy " +
				"rotates it. Reading shows its settings, the versions from min_decryption_version on and when each was made, and when it " +
				"rotates next. Deleting destroys it for good: what it encrypted can never be read again.",
		},
	}
}

// readCreation reads the fields of a create request.
func readCreation(c *request) (engine.Creation, error) {
	t, err := lifecycle.ParseType(fType.get(c))
	if err != nil {
		return engine.Creation{}, err
	}
	if size := fKeySize.get(c); size != 0 {
		return engine.Creation{}, lifecycle.InvalidField("key_size", size, "is not valid for key type "+string(t))
	}
	if err := checkOwner(fOwner.get(c)); err != nil {
		return engine.Creation{}, err
	}
	pre, err := precondition(c)
	return engine.Creation{
		Precondition: pre, Policy: fPolicy.lookupNonNull(c), Owner: fOwner.lookupNonNull(c), Labels: labelsGiven(c),
		Spec: lifecycle.Key{
			Name: fName.get(c), Type: t, Derived: fDerived.get(c), Convergent: fConvergent.get(c),
			Exportable: fExportable.get(c), AllowPlaintextBackup: fPlaintextBackup.get(c),
			AutoRotatePeriod: time.Duration(fAutoRotatePeriod.get(c)) * time.Second,
		},
	}, err
}

// labelsGiven returns the labels of the request; nil where it has none.
func labelsGiven(c *request) map[string]string {
	if labels := fLabels.lookupNonNull(c); labels != nil {
		return labelsOf(*labels)
	}
	return nil
}

func checkOwner(owner string) error {
	const longest = 256
	if len(owner) > longest {
		return lifecycle.InvalidField("owner", owner, "at most 256 bytes")
	}
	return nil
}

func (b *backend) createKey(ctx context.Context, c *request) (*logical.Response, error) {
	in, err := readCreation(c)
	if err != nil {
		return nil, err
	}
	view, existed, err := b.engine.Create(ctx, c.store, in)
	if err != nil {
		return nil, err
	}
	resp := viewResponse(view)
	if existed {
		resp.AddWarning("key " + in.Spec.Name + " already existed; of what was given only policy, owner and labels were applied")
	}
	return resp, nil
}

func (b *backend) readKey(ctx context.Context, c *request) (*logical.Response, error) {
	if _, err := base64.StdEncoding.DecodeString(fContext.get(c)); err != nil {
		return nil, lifecycle.Invalidf("context: must be standard base64")
	}
	view, err := b.engine.Read(ctx, c.store, fName.get(c))
	if err != nil {
		return nil, err
	}
	return viewResponse(view), nil
}

func (b *backend) deleteKey(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	return nil, b.engine.Delete(ctx, c.store, fName.get(c), pre)
}
