// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// maxDatakeys bounds what one call makes. It is some 300 KiB of an answer.
const maxDatakeys = 1024

var (
	fDatakeyCount = vaultapi.Int("count", "How many data keys to make: 1 to 1024.")
	fKeyPairs     = vaultapi.List("key_pairs", "The data keys: ciphertext and, of datakeys/plaintext, plaintext.")
)

// keyPair is a data key, in Vault Enterprise's words.
type keyPair struct {
	Ciphertext string `json:"ciphertext"`
	Plaintext  string `json:"plaintext,omitempty"`
}

func (a cipherAPI) datakeysPath() path {
	return path{
		Pattern: "datakeys/" + framework.GenericNameRegex(fForm.Name) + "/" + named, ID: vaultapi.ID{Verb: "generate", Suffix: "data-keys"},
		Fields: vaultapi.FieldsOf(fName, fForm, fDatakeyCount, fContext, fNonce, fAAD, fBits, fKeyVersion, fPadding, fPaddingHash),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.datakeys, Summary: "Make several data keys, encrypted with a key.", Answer: "The data keys.",
			Fields: vaultapi.FieldsOf(fKeyPairs, fKeyVersion),
		}},
		Synopsis: "Make several data keys.",
		Description: "As datakey/, count times in one call: for each data key its ciphertext, and with datakeys/plaintext/:name the key in the " +
			"clear. Where one cannot be made there is none. Each is counted as an encryption.",
	}
}

func (a cipherAPI) datakeys(ctx context.Context, c *request) (*logical.Response, error) {
	form, bits, item, err := readDatakey(c)
	if err != nil {
		return nil, err
	}
	count := fDatakeyCount.Get(c)
	if count < 1 || count > maxDatakeys {
		return nil, vaultapi.InvalidField(fDatakeyCount.Name, count, "must be from 1 to 1024")
	}
	keys, err := c.Data().Datakeys(ctx, fName.Get(c), count, bits, item)
	if err != nil {
		return nil, err
	}
	pairs := make([]keyPair, count)
	for i, key := range keys {
		pairs[i].Ciphertext = key.Text
		if form == "plaintext" {
			pairs[i].Plaintext = key.Plaintext
		}
	}
	return vaultapi.Data(fKeyPairs.Is(pairs), fKeyVersion.Is(keys[count-1].Version)), nil
}
