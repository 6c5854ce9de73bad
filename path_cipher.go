// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fNonce          = vaultapi.Text("nonce", "Accepted for old Transit clients. Every key here makes its own nonces; a given one is refused.").Secret()
	fAAD            = vaultapi.Text("associated_data", "Base64 data that is authenticated with the ciphertext and not kept in it.").Secret()
	fKeyVersion     = vaultapi.Int("key_version", "Version to encrypt with. 0: the active one. Others only for keys without a policy, from min_encryption_version on.")
	fIV             = vaultapi.Text("iv", "Base64 initialisation vector of AES-CBC keys. No key type of this release takes one.").Secret()
	fPadding        = vaultapi.Text("padding_scheme", "Padding scheme of RSA keys: oaep or pkcs1v15. Empty: oaep. Others take none.")
	fDecryptPadding = vaultapi.Text("decrypt_padding_scheme", "As padding_scheme, for opening.")
	fEncryptPadding = vaultapi.Text("encrypt_padding_scheme", "As padding_scheme, for encrypting anew.")
	fPaddingHash    = vaultapi.Text("hash_algorithm", "Hash of OAEP, and of its mask: "+dataplane.OAEPHashes+". Empty: sha2-256. For RSA keys with padding_scheme oaep alone.")
	fDecryptHash    = vaultapi.Text("decrypt_hash_algorithm", "As hash_algorithm, for opening.")
	fEncryptHash    = vaultapi.Text("encrypt_hash_algorithm", "As hash_algorithm, for encrypting anew.")
	fCiphertext     = vaultapi.Text("ciphertext", "Ciphertext: vault:v<version>:<base64>.").Secret()
	fPlaintext      = vaultapi.Text("plaintext", "Base64 plaintext.").Secret()
	fForm           = vaultapi.Text("plaintext", `"plaintext" returns the data key in the clear and encrypted, "wrapped" only encrypted.`)
	fBits           = vaultapi.Int("bits", "Size of the data key in bits: 128, 256 or 512.").Or(256)
)

// protectedFields and openedFields describe the answers.
var (
	protectedFields = vaultapi.FieldsOf(fCiphertext, fKeyVersion, fResults)
	openedFields    = vaultapi.FieldsOf(fPlaintext, fResults)
	datakeyFields   = vaultapi.FieldsOf(fCiphertext, fKeyVersion, fPlaintext)
)

// cipherAPI serves the data plane: what uses a key by its name. The rules are Transit's, down to the statuses; clients
// branch on them.
type cipherAPI struct{}

func (a cipherAPI) paths() []path {
	encrypt := cipherPath("encrypt", "Encrypt with a key; a key that does not exist is made first, unless config/keys forbids it.",
		operation{Handle: a.encrypt, Answer: "The ciphertext, or batch_results.", Fields: protectedFields},
		fPlaintext, fKeyVersion, fIV, fPadding, fPaddingHash, fPartial, fType, fConvergent)
	encrypt.Operations[logical.CreateOperation] = encrypt.Operations[logical.UpdateOperation]
	encrypt.Exists = a.exists
	return []path{
		encrypt,
		cipherPath("decrypt", "Decrypt what the key encrypted.",
			operation{Handle: a.decrypt, Answer: "The plaintext, or batch_results.", Fields: openedFields},
			fCiphertext, fPadding, fPaddingHash, fPartial),
		cipherPath("rewrap", "Encrypt a ciphertext anew with the active version, without showing its plaintext. Takes associated_data.",
			operation{Handle: a.rewrap, Answer: "The new ciphertext, or batch_results.", Fields: protectedFields},
			fCiphertext, fKeyVersion, fDecryptPadding, fEncryptPadding, fDecryptHash, fEncryptHash),
		a.datakeyPath(),
		a.datakeysPath(),
	}
}

func (a cipherAPI) exists(ctx context.Context, c *request) error {
	found, err := c.Keys().Exists(ctx, fName.Get(c))
	if err == nil && !found {
		err = refusal.NoKey(fName.Get(c))
	}
	return err
}

// cipherPath makes a path of the data plane.
func cipherPath(verb, help string, op operation, extra ...vaultapi.Declared) path {
	op.Summary = help
	return path{
		Pattern: verb + "/" + named, ID: vaultapi.ID{Verb: verb}, Direct: []string{fName.Name},
		Fields:     vaultapi.FieldsOf(fName, fContext, fNonce, fAAD, fTexts).With(extra...),
		Operations: operations{logical.UpdateOperation: op},
		Synopsis:   help,
		Description: help + " One item in the fields of the request, or many in batch_input, which is one call and " +
			"one look at the key. All texts but ciphertexts are standard base64.",
	}
}

func (a cipherAPI) datakeyPath() path {
	return path{
		Pattern: "datakey/" + framework.GenericNameRegex(fForm.Name) + "/" + named, ID: vaultapi.ID{Verb: "generate", Suffix: "data-key"},
		Direct: []string{fForm.Name, fName.Name},
		Fields: vaultapi.FieldsOf(fName, fForm, fContext, fNonce, fAAD, fBits, fKeyVersion, fPadding, fPaddingHash),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.datakey, Summary: "Make a data key, encrypted with a key.", Answer: "The data key.", Fields: datakeyFields,
		}},
		Synopsis:    "Make a data key.",
		Description: "Draws random bytes for local encryption and returns them encrypted with the named key; datakey/plaintext/:name also in the clear. Takes associated_data.",
	}
}

func readEncrypt(from *vaultapi.Source) dataplane.Item {
	switch {
	case !from.Has(fPlaintext.Name):
		missing(from, fPlaintext, "encrypt")
	case from.IsItem() && from.IsNull(fPlaintext.Name):
		from.Fail(mustNotBeNull(fPlaintext))
	}
	return dataplane.Item{
		Text: fPlaintext.Get(from), Context: fContext.Get(from), Nonce: fNonce.Get(from), AssociatedData: fAAD.Get(from),
		IV: fIV.Get(from), Padding: readPadding(from), Hash: fPaddingHash.Get(from), Version: fKeyVersion.Get(from),
	}
}

func readDecrypt(from *vaultapi.Source) dataplane.Item {
	if !from.Has(fCiphertext.Name) {
		missing(from, fCiphertext, "decrypt")
	}
	fKeyVersion.Get(from) // without effect, as iv, but Transit checks their types
	fIV.Get(from)
	item := dataplane.Item{
		Text: fCiphertext.Get(from), Context: fContext.Get(from), Nonce: fNonce.Get(from), AssociatedData: fAAD.Get(from),
		Padding: readPadding(from), Hash: fPaddingHash.Get(from),
	}
	requireCiphertext(from, item)
	return item
}

func readRewrap(from *vaultapi.Source) dataplane.Item {
	item := dataplane.Item{
		Text: fCiphertext.Get(from), Context: fContext.Get(from), Nonce: fNonce.Get(from), AssociatedData: fAAD.Get(from),
		Version: fKeyVersion.Get(from), Padding: fDecryptPadding.Get(from), NewPadding: fEncryptPadding.Get(from),
		Hash: fDecryptHash.Get(from), NewHash: fEncryptHash.Get(from),
	}
	requireCiphertext(from, item)
	return item
}

// requireCiphertext refuses a request of one item without a text. In a batch the item fails, not the call.
func requireCiphertext(from *vaultapi.Source, item dataplane.Item) {
	if !from.IsItem() && item.Text == "" {
		missing(from, fCiphertext, "decrypt")
	}
}

// readPadding reads the padding scheme, which unlike the other fields of an item must not be null.
func readPadding(from *vaultapi.Source) string {
	if from.IsItem() && from.Has(fPadding.Name) && from.IsNull(fPadding.Name) {
		from.Fail(mustNotBeNull(fPadding))
	}
	return fPadding.Get(from)
}

func (a cipherAPI) encrypt(ctx context.Context, c *request) (*logical.Response, error) {
	in, err := readBatch(c, readEncrypt)
	if err != nil {
		return nil, err
	}
	outcomes, warning, err := a.encryptItems(ctx, c, in)
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
func (a cipherAPI) encryptItems(ctx context.Context, c *request, in batch) (outcomes []dataplane.Outcome, warning string, err error) {
	if c.Logical.Operation != logical.CreateOperation {
		outcomes, err = c.Data().Encrypt(ctx, fName.Get(c), in.items)
		return outcomes, "", err
	}
	spec, err := readUpsert(c, in)
	if err != nil {
		return nil, "", err
	}
	outcomes, created, err := c.Data().EncryptOrCreate(ctx, spec, in.items)
	if !created && anySucceeded(outcomes) {
		warning = "Attempted creation of the key during the encrypt operation, but it was created beforehand"
	}
	return outcomes, warning, err
}

func readUpsert(c *request, in batch) (lifecycle.Key, error) {
	convergent := fConvergent.Get(c)
	if convergent && len(in.items) > 0 && in.items[0].Context == "" {
		return lifecycle.Key{}, vaultapi.Invalidf("convergent encryption requires derivation to be enabled, so context is required")
	}
	t, err := keytype.Parse(fType.Get(c))
	if err == nil && !t.SupportsEncryption() {
		err = vaultapi.InvalidField(fType.Name, string(t), "key type not supported for this operation: such keys do not encrypt")
	}
	return lifecycle.Key{Name: fName.Get(c), Type: t, Convergent: convergent}, err
}

func (a cipherAPI) decrypt(ctx context.Context, c *request) (*logical.Response, error) {
	in, err := readBatch(c, readDecrypt)
	if err != nil {
		return nil, err
	}
	outcomes, err := c.Data().Decrypt(ctx, fName.Get(c), in.items)
	if err != nil {
		return nil, err
	}
	resp, err := opened(in, outcomes)
	if err != nil {
		return nil, err
	}
	return batchStatus(c, in, outcomes, resp)
}

// rewrap answers 200 whatever becomes of the items of a batch, unless one failed by our fault: then, as in Transit,
// the request did.
func (a cipherAPI) rewrap(ctx context.Context, c *request) (*logical.Response, error) {
	of := dataplane.Item{Version: fKeyVersion.Get(c), Hash: fDecryptHash.Get(c), NewHash: fEncryptHash.Get(c)}
	in, err := readTexts(c, vaultapi.LooseItem, of, readRewrap)
	if err != nil {
		return nil, err
	}
	outcomes, err := c.Data().Rewrap(ctx, fName.Get(c), in.items)
	if err != nil {
		return nil, err
	}
	for _, o := range outcomes {
		if errors.Is(o.Err, dataplane.ErrFault) {
			return nil, o.Err
		}
	}
	return protected(in, outcomes)
}

func readDatakey(c *request) (form string, bits int, item dataplane.Item, err error) {
	form, bits = fForm.Get(c), fBits.Get(c)
	item = dataplane.Item{
		Context: fContext.Get(c), Nonce: fNonce.Get(c), AssociatedData: fAAD.Get(c), Padding: fPadding.Get(c),
		Hash: fPaddingHash.Get(c), Version: fKeyVersion.Get(c),
	}
	switch {
	case form != "plaintext" && form != "wrapped":
		err = vaultapi.Invalidf("Invalid path, must be 'plaintext' or 'wrapped', not %q", form)
	case !slices.Contains([]int{128, 256, 512}, bits):
		err = vaultapi.InvalidField(fBits.Name, bits, "invalid bit length; must be 128, 256 or 512")
	case fPadding.Lookup(c) != nil && item.Padding == "":
		err = vaultapi.InvalidField(fPadding.Name, "", "must be oaep or pkcs1v15")
	case !isBase64(item.Context):
		err = vaultapi.Invalidf("context: failed to base64-decode context")
	case !isBase64(item.Nonce):
		err = vaultapi.Invalidf("nonce: failed to base64-decode nonce")
	}
	return form, bits, item, err
}

func isBase64(text string) bool {
	_, err := base64.StdEncoding.DecodeString(text)
	return err == nil
}

func (a cipherAPI) datakey(ctx context.Context, c *request) (*logical.Response, error) {
	form, bits, item, err := readDatakey(c)
	if err != nil {
		return nil, err
	}
	keys, err := c.Data().Datakeys(ctx, fName.Get(c), 1, bits, item)
	if err != nil {
		return nil, err
	}
	resp := vaultapi.Data(fCiphertext.Is(keys[0].Text), fKeyVersion.Is(keys[0].Version))
	if form == "plaintext" {
		resp.Data[fPlaintext.Name] = keys[0].Plaintext
	}
	return resp, nil
}

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
