// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fType             = vaultapi.Text("type", "Type of the key: "+strings.Join(keytype.Names(), ", ")+"; or ml-dsa, with parameter_set.").Or(string(keytype.Default))
	fDerived          = vaultapi.Bool("derived", "Derive a key for each context. Every use of the key then needs a context.")
	fConvergent       = vaultapi.Bool("convergent_encryption", "Give equal plaintexts in equal contexts equal ciphertexts. Needs derived.")
	fProtection       = vaultapi.Text("protection", "hsm: its versions are made on the token of config/hsm and never leave it, for keys of type aes256-gcm96, hmac, ed25519, ecdsa-* and rsa-*. Empty: the mount wraps the key as it wraps all others. It does not change afterwards.")
	fExportable       = vaultapi.Bool("exportable", "Allow export of the key. Cannot be unset.")
	fPlaintextBackup  = vaultapi.Bool("allow_plaintext_backup", "Allow a backup of the key in the clear. Cannot be unset.")
	fAutoRotatePeriod = vaultapi.Seconds("auto_rotate_period", "Rotate the key by itself after this time, at least an hour; 0: never. For keys without a policy.")
	fKeySize          = vaultapi.Int("key_size", "Size in bytes of a key of type hmac: 32 to 512. 0: 32. Other types have a size of their own.")
	fParameterSet     = vaultapi.Text("parameter_set", "Parameter set of keys of type ml-dsa: 44, 65 or 87. Others have none.")
	fContext          = vaultapi.Text("context", "Base64 context for key derivation. Required for derived keys, ignored by others.").Secret().Query()
	fPolicy           = vaultapi.Text("policy", "Name of the policy that governs the key.")
	fOwner            = vaultapi.Text("owner", "Who answers for the key. Free text.")
	fLabels           = vaultapi.Pairs("labels", "Labels: at most 64 names of 1 to 64 bytes with values of at most 256 bytes.")
	fUses             = vaultapi.Texts("allowed_uses", "What the key may be used for: "+strings.Join(lifecycle.AllowedUses(), ", ")+". Empty: all that its type can do. It can be narrowed, and not be widened again.")
	fMinDecryption    = vaultapi.Int("min_decryption_version", "Versions below are archived: they decrypt nothing until the floor is lowered again. At least 1.")
	fMinEncryption    = vaultapi.Int("min_encryption_version", "Versions below encrypt nothing even when a request names them. 0: no floor.")
	fDeletionAllowed  = vaultapi.Bool("deletion_allowed", "Allow the key to be deleted.")
)

// keysAPI serves the keys: what they are, not what state they are in.
type keysAPI struct{}

func (a keysAPI) paths() []path {
	list := tableOf("keys", vaultapi.Transit, "By key: its type, state, policy, active version, and when and how it rotates next.", a.list)
	return []path{list, a.key(), a.config()}
}

func (a keysAPI) key() path {
	return path{
		Pattern: "keys/" + named, ID: vaultapi.ID{Suffix: "key"},
		Fields: vaultapi.FieldsOf(fName, fType, fDerived, fConvergent, fProtection, fExportable, fPlaintextBackup, fAutoRotatePeriod,
			fKeySize, fParameterSet, fContext, fUses, fPolicy, fOwner, fLabels, fCAS, fReason),
		Operations: operations{
			logical.UpdateOperation: {
				Handle: a.create, ID: vaultapi.ID{Verb: "create"}, Answer: "The key.", Fields: keyFields,
				Summary: "Create a key. Where one of the name exists, only policy, owner and labels are applied to it.",
			},
			logical.ReadOperation: {
				Handle: a.read, ID: vaultapi.ID{Verb: "read"}, Answer: "The key.", Fields: keyFields,
				Summary: "Read a key: settings, versions, rotation. Never its material.",
			},
			logical.DeleteOperation: {
				Handle: a.delete, ID: vaultapi.ID{Verb: "delete"}, Answer: "The key is destroyed.",
				Summary: "Destroy a key and all its versions at once. Needs deletion_allowed, and no policy.",
			},
		},
		Synopsis: "Create, read and delete a key.",
		Description: "A write creates a key with one version. With a policy, the key's type has to meet the policy, and the policy " +
			"rotates it. With protection=hsm its versions are on the token of config/hsm, which is asked for each text, signature or MAC. Reading shows its settings, the versions from min_decryption_version on and when each was made, and when it " +
			"rotates next. Deleting destroys it for good: what it encrypted can never be read again.",
	}
}

func (a keysAPI) config() path {
	return path{
		Pattern: "keys/" + named + "/config", ID: vaultapi.ID{Verb: "configure", Suffix: "key"},
		Fields: vaultapi.FieldsOf(fName, fMinDecryption, fMinEncryption, fDeletionAllowed, fExportable, fPlaintextBackup,
			fAutoRotatePeriod, fUses, fPolicy, fOwner, fLabels, fCAS, fReason),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.configure, Summary: "Change settings of a key. What is not given stays.", Answer: "The key.", Fields: keyFields,
		}},
		Synopsis: "Configure a key.",
		Description: "Raising min_decryption_version archives the versions below it: they are kept and denied. policy binds the key to " +
			"a policy, which its type has to meet, or with an empty name detaches it. exportable and allow_plaintext_backup cannot be unset.",
	}
}

// readCreation reads the fields of a create request.
func readCreation(c *request) (engine.Creation, error) {
	t, err := keytype.ParseWithSet(fType.Get(c), fParameterSet.Get(c))
	if err != nil {
		return engine.Creation{}, err
	}
	size := fKeySize.Get(c)
	if t == keytype.HMAC && size == 0 {
		size = keytype.MinHMACSize
	}
	if err := checkOwner(fOwner.Get(c)); err != nil {
		return engine.Creation{}, err
	}
	protection, err := lifecycle.ParseProtection(fProtection.Get(c))
	if err != nil {
		return engine.Creation{}, err
	}
	uses, err := usesGiven(c)
	if err != nil {
		return engine.Creation{}, err
	}
	pre, err := precondition(c)
	return engine.Creation{
		Precondition: pre, Uses: uses, Policy: fPolicy.LookupNonNull(c), Owner: fOwner.LookupNonNull(c), Labels: labelsGiven(c),
		Spec: lifecycle.Key{
			Name: fName.Get(c), Type: t, Size: size, Derived: fDerived.Get(c), Convergent: fConvergent.Get(c), Protection: protection,
			Exportable: fExportable.Get(c), AllowPlaintextBackup: fPlaintextBackup.Get(c),
			AutoRotatePeriod: time.Duration(fAutoRotatePeriod.Get(c)) * time.Second,
		},
	}, err
}

// readChange reads the fields of a config request.
func readChange(c *request) (lifecycle.ConfigChange, error) {
	change := lifecycle.ConfigChange{
		MinDecryption: fMinDecryption.Lookup(c), MinEncryption: fMinEncryption.Lookup(c),
		DeletionAllowed: fDeletionAllowed.Lookup(c), Exportable: fExportable.Lookup(c),
		AllowPlaintextBackup: fPlaintextBackup.Lookup(c), Policy: fPolicy.LookupNonNull(c), Owner: fOwner.LookupNonNull(c),
		Labels: labelsGiven(c),
	}
	if seconds := fAutoRotatePeriod.Lookup(c); seconds != nil {
		period := time.Duration(*seconds) * time.Second
		change.AutoRotatePeriod = &period
	}
	if change.Owner != nil {
		if err := checkOwner(*change.Owner); err != nil {
			return change, err
		}
	}
	var err error
	change.Uses, err = usesGiven(c)
	return change, err
}

// usesGiven returns the uses that a request restricts a key to; nil where it says nothing of them.
func usesGiven(from vaultapi.From) (*[]lifecycle.AllowedUse, error) {
	names := fUses.LookupNonNull(from)
	if names == nil {
		return nil, nil //nolint:nilnil // nothing was given
	}
	uses, err := lifecycle.ParseUses(*names)
	return &uses, err
}

// labelsGiven returns the labels of a request or a document; nil where it has none.
func labelsGiven(from vaultapi.From) map[string]string {
	if labels := fLabels.LookupNonNull(from); labels != nil {
		return labelsOf(*labels)
	}
	return nil
}

func checkOwner(owner string) error {
	const longest = 256
	if len(owner) > longest {
		return vaultapi.InvalidField(fOwner.Name, owner, "at most 256 bytes")
	}
	return nil
}

func (a keysAPI) list(ctx context.Context, c *request) (*logical.Response, error) {
	names, err := c.Keys().Names(ctx)
	if err != nil {
		return nil, err
	}
	listing, err := vaultapi.ListNames(c, names)
	if err != nil {
		return nil, err
	}
	return vaultapi.Table(ctx, listing, keyRows, func(name string) (*engine.View, error) {
		return unlessGone(c.Keys().Summary(ctx, name))
	})
}

func (a keysAPI) create(ctx context.Context, c *request) (*logical.Response, error) {
	in, err := readCreation(c)
	if err != nil {
		return nil, err
	}
	view, existed, err := c.Keys().Create(ctx, in)
	if err != nil {
		return nil, err
	}
	resp := showKey(view)
	if existed {
		resp.AddWarning("key " + in.Spec.Name + " already existed; of what was given only policy, owner and labels were applied")
	}
	return resp, nil
}

func (a keysAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	if _, err := base64.StdEncoding.DecodeString(fContext.Get(c)); err != nil {
		return nil, vaultapi.Invalidf("context: must be standard base64")
	}
	view, err := c.Keys().Read(ctx, fName.Get(c))
	if err != nil {
		return nil, err
	}
	return showKey(view), nil
}

func (a keysAPI) delete(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	return nil, c.Keys().Delete(ctx, fName.Get(c), pre)
}

func (a keysAPI) configure(ctx context.Context, c *request) (*logical.Response, error) {
	change, err := readChange(c)
	if err != nil {
		return nil, err
	}
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	view, warnings, err := c.Keys().Configure(ctx, fName.Get(c), change, pre)
	if err != nil {
		return nil, err
	}
	resp := showKey(view)
	for _, warning := range warnings {
		resp.AddWarning(warning)
	}
	return resp, nil
}
