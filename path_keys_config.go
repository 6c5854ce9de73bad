// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var (
	fMinDecryption   = newField[int]("min_decryption_version", framework.TypeInt, "Versions below are archived: they decrypt nothing until the floor is lowered again. At least 1.")
	fMinEncryption   = newField[int]("min_encryption_version", framework.TypeInt, "Versions below encrypt nothing even when a request names them. 0: no floor.")
	fDeletionAllowed = newField[bool]("deletion_allowed", framework.TypeBool, "Allow the key to be deleted.")
)

func (b *backend) pathKeysConfig() []*framework.Path {
	return []*framework.Path{{
		Pattern:      "keys/" + framework.GenericNameRegex(fName.name) + "/config",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationVerb: "configure", OperationSuffix: "key"},
		Fields: fields(fName, fMinDecryption, fMinEncryption, fDeletionAllowed, fExportable, fPlaintextBackup,
			fAutoRotatePeriod, fPolicy, fOwner, fLabels, fCAS, fReason),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback:  b.handle(b.configureKey),
				Summary:   "Change settings of a key. What is not given stays.",
				Responses: ok("The key.", viewFields),
			},
		},
		HelpSynopsis: "Configure a key.",
		HelpDescription: "Raising min_decryption_version archives the versions below it: they are kept and denied. policy binds the key to " +
			"a policy, which its type has to meet, or with an empty name detaches it. exportable and allow_plaintext_backup cannot be unset.",
	}}
}

// readChange reads the fields of a config request.
func readChange(c *request) (lifecycle.ConfigChange, error) {
	change := lifecycle.ConfigChange{
		MinDecryption: fMinDecryption.lookup(c), MinEncryption: fMinEncryption.lookup(c),
		DeletionAllowed: fDeletionAllowed.lookup(c), Exportable: fExportable.lookup(c),
		AllowPlaintextBackup: fPlaintextBackup.lookup(c), Policy: fPolicy.lookupNonNull(c), Owner: fOwner.lookupNonNull(c),
		Labels: labelsGiven(c),
	}
	if seconds := fAutoRotatePeriod.lookup(c); seconds != nil {
		period := time.Duration(*seconds) * time.Second
		change.AutoRotatePeriod = &period
	}
	if change.Owner != nil {
		return change, checkOwner(*change.Owner)
	}
	return change, nil
}

func (b *backend) configureKey(ctx context.Context, c *request) (*logical.Response, error) {
	change, err := readChange(c)
	if err != nil {
		return nil, err
	}
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	view, warnings, err := b.engine.Configure(ctx, c.store, fName.get(c), change, pre)
	if err != nil {
		return nil, err
	}
	resp := viewResponse(view)
	for _, warning := range warnings {
		resp.AddWarning(warning)
	}
	return resp, nil
}
