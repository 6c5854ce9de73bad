// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

const hashes = "sha1, sha2-224, sha2-256, sha2-384, sha2-512, sha3-224, sha3-256, sha3-384, sha3-512 or none"

var (
	fSignHash      = vaultapi.Text("hash_algorithm", "Hash: "+hashes+", which goes with prehashed and pkcs1v15 alone. Without effect on Ed25519, which takes no sha2-512.").Or("sha2-256")
	fSignVersion   = vaultapi.Int("key_version", "Version to sign with, also for batch_input. 0: the active one. Others only for keys without a policy, from min_encryption_version on.")
	fPrehashed     = vaultapi.Bool("prehashed", "The input is a digest by hash_algorithm. Not for Ed25519.")
	fScheme        = vaultapi.Text("signature_algorithm", "Scheme of RSA keys: pss or pkcs1v15. Empty: pss. Without effect on others.")
	fMarshaling    = vaultapi.Text("marshaling_algorithm", "Form of signatures: asn1, in standard base64, or jws, in URL-safe base64 without padding, where ECDSA has the two numbers side by side.").Or("asn1")
	fSaltLength    = vaultapi.Text("salt_length", "Salt of PSS: auto (the longest for signing, any for verifying), hash (as long as the digest), or a number of bytes. Without effect on others.").Or("auto")
	fSignatureCtx  = vaultapi.Text("signature_context", "Base64 context of Ed25519ctx. No key type of this release takes one.")
	fSignText      = vaultapi.Text("signature", "Signature: vault:v<version>:<base64>.")
	fSignPublicKey = vaultapi.Text("public_key", "Base64 public key of the context, of derived keys; publickey in a batch.")
	fVerdict       = vaultapi.Bool("valid", "It is one of the key, of this input.")
)

// signAPI serves signatures. The rules are Transit's, down to the statuses.
type signAPI struct{}

func (a signAPI) paths() []path {
	return []path{
		a.path("sign", "Sign with a key.", operation{
			Handle: a.sign, Summary: "Sign with a key.", Answer: "The signature, or batch_results.",
			Fields: vaultapi.FieldsOf(fSignText, fSignVersion, fSignPublicKey, fResults),
		}, fSignVersion),
		a.path("verify", "Verify a signature of a key.", operation{
			Handle: a.verify, Summary: "Verify a signature of a key.", Answer: "Whether it is valid, or batch_results.",
			Fields: vaultapi.FieldsOf(fVerdict, fResults),
		}, fSignText, fHMAC, fCMAC, fMACSize),
	}
}

func (a signAPI) path(verb, help string, op operation, extra ...vaultapi.Declared) path {
	return path{
		Pattern: verb + "/" + named + framework.OptionalParamRegex(fHashInPath.Name), ID: vaultapi.ID{Verb: verb, Suffix: "|with-algorithm"},
		Direct: []string{fName.Name},
		Fields: vaultapi.FieldsOf(fName, fHashInPath, fSignHash, fHash, fInput, fContext, fPrehashed, fScheme, fMarshaling,
			fSaltLength, fSignatureCtx, fBatch).With(extra...),
		Operations: operations{logical.UpdateOperation: op},
		Synopsis:   help,
		Description: help + " One text in the fields of the request, or many in batch_input with input, context and reference; how they are " +
			"signed stands beside batch_input, for all. Ed25519 keys sign the text, others its digest by hash_algorithm.",
	}
}

// readSigning reads how the items are signed.
func readSigning(c *request) (how dataplane.Signing, err error) {
	how = dataplane.Signing{
		Hash: cmp.Or(fHashInPath.Get(c), fSignHash.Get(c), fHash.Get(c)), Marshaling: fMarshaling.Get(c), Scheme: fScheme.Get(c),
		Prehashed: fPrehashed.Get(c), Version: fSignVersion.Get(c),
	}
	switch {
	case !envelope.IsHash(how.Hash):
		return how, vaultapi.InvalidField(fSignHash.Name, how.Hash, "invalid hash algorithm; must be "+hashes)
	case how.Marshaling != "asn1" && how.Marshaling != "jws":
		return how, vaultapi.InvalidField(fMarshaling.Name, how.Marshaling, "invalid marshaling type; must be asn1 or jws")
	}
	how.SaltLength, err = saltLength(fSaltLength.Get(c))
	return how, err
}

func saltLength(text string) (int, error) {
	switch strings.ToLower(text) {
	case "auto":
		return rsa.PSSSaltLengthAuto, nil
	case "hash":
		return rsa.PSSSaltLengthEqualsHash, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < rsa.PSSSaltLengthEqualsHash {
		return 0, vaultapi.InvalidField(fSaltLength.Name, text, "must be auto, hash, or a number of bytes")
	}
	return n, nil
}

func readSign(from *vaultapi.Source) dataplane.SignItem {
	item := dataplane.SignItem{Context: fContext.Get(from), SignatureContext: fSignatureCtx.Get(from)}
	if input := fInput.Get(from); !from.IsItem() || from.Has(fInput.Name) {
		item.Input = &input
	}
	return item
}

// sign answers 200 whatever becomes of the items of a batch.
func (a signAPI) sign(ctx context.Context, c *request) (*logical.Response, error) {
	how, err := readSigning(c)
	if err != nil {
		return nil, err
	}
	in, err := readItems(c, vaultapi.TextItem, func(from *vaultapi.Source) dataplane.SignItem {
		if from.IsItem() {
			from.CheckAllTexts() // prehashed, say, counts beside batch_input only, and must not seem to count here
		}
		return readSign(from)
	})
	if err != nil {
		return nil, cmp.Or(how.Check(ctx, c.Data(), fName.Get(c)), err)
	}
	signed, err := how.Sign(ctx, c.Data(), fName.Get(c), in.items)
	switch {
	case err != nil:
		return nil, err
	case !in.single:
		return vaultapi.Data(fResults.Is(signedRows(in, signed))), nil
	}
	s := signed[0]
	resp := vaultapi.Data(fSignText.Is(s.Text), fSignVersion.Is(s.Version))
	if s.PublicKey != nil {
		resp.Data[fSignPublicKey.Name] = base64.StdEncoding.EncodeToString(s.PublicKey)
	}
	return resp, s.Err
}

// signedRow and verdictRow are the results of a batch, in Transit's words.
type signedRow struct {
	Signature  string `json:"signature,omitempty"`
	KeyVersion int    `json:"key_version"`
	PublicKey  []byte `json:"publickey,omitempty"`
	Error      string `json:"error,omitempty"`
	Reference  string `json:"reference"`
}

type verdictRow struct {
	Valid     bool   `json:"valid"`
	Error     string `json:"error,omitempty"`
	Reference string `json:"reference"`
}

func signedRows(in batchOf[dataplane.SignItem], signed []dataplane.Signed) any {
	rows := make([]signedRow, len(signed))
	for i, s := range signed {
		rows[i] = signedRow{s.Text, s.Version, s.PublicKey, errorText(s.Err), in.references[i]}
	}
	return rows
}

// verify tells of signatures, and of MACs, whether they are of the key. It answers 200 whatever becomes of the items of a batch,
// and 400 for a batch of the wrong shape.
func (a signAPI) verify(ctx context.Context, c *request) (*logical.Response, error) {
	proof, err := readProof(c)
	if err != nil {
		return nil, err
	}
	switch proof {
	case fHMAC.Name:
		return a.verifyMACs(ctx, c, dataplane.HMAC)
	case fCMAC.Name:
		return a.verifyMACs(ctx, c, dataplane.CMAC)
	}
	how, err := readSigning(c)
	if err != nil {
		return nil, err
	}
	in, err := readItems(c, vaultapi.TextItem, readVerify)
	if err != nil {
		return nil, vaultapi.Invalidf("%s", err.Error())
	}
	verdicts, err := how.Verify(ctx, c.Data(), fName.Get(c), in.items)
	if err != nil {
		return nil, err
	}
	return verified(in, verdicts)
}

func (a signAPI) verifyMACs(ctx context.Context, c *request, kind dataplane.MACKind) (*logical.Response, error) {
	in, err := readItems(c, vaultapi.TextItem, func(from *vaultapi.Source) dataplane.MACItem {
		return readMAC(from, kind, macHash(c), macSizeOf(c, from))
	})
	if err != nil {
		return nil, err // 500, as in Transit
	}
	verdicts, err := c.MACs().Verify(ctx, fName.Get(c), in.items)
	if err != nil {
		return nil, err
	}
	return verified(in, verdicts)
}

// macHash returns the hash of the HMACs that a request has verified.
func macHash(c *request) string {
	hash := fHash.Get(c)
	if given := fSignHash.Lookup(c); given != nil {
		hash = *given
	}
	return cmp.Or(fHashInPath.Get(c), hash)
}

func readVerify(from *vaultapi.Source) dataplane.SignItem {
	item := readSign(from)
	item.Signature = fSignText.Get(from)
	if item.Input == nil {
		item.Input = new(string)
	}
	return item
}

// proofs are what can be verified. Of several in one item the first counts.
var proofs = []vaultapi.Field[string]{fSignText, fHMAC, fCMAC}

// readProof returns what the request has to verify, which is the same for all items.
func readProof(c *request) (string, error) {
	in, err := readItems(c, vaultapi.TextItem, proofOf)
	if err != nil {
		return "", vaultapi.Invalidf("%s", err.Error())
	}
	kinds := slices.Compact(slices.Sorted(slices.Values(in.items)))
	switch {
	case len(kinds) == 0:
		return "", vaultapi.Invalidf("missing batch input to process")
	case in.single && kinds[0] == "":
		return "", vaultapi.Invalidf("missing one of 'signature', 'hmac' or 'cmac' to verify")
	case len(kinds) > 2 || len(kinds) == 2 && kinds[0] != "":
		return "", vaultapi.Invalidf("batch_input: items must all have a signature, all an hmac or all a cmac to verify")
	case len(kinds) == 2:
		return "", vaultapi.Invalidf("batch_input: some items have no '%s' to verify, and others have one", kinds[1])
	case kinds[0] == "":
		return "", vaultapi.Invalidf("batch_input: no item has a 'signature', 'hmac' or 'cmac' to verify")
	}
	return kinds[0], nil
}

func proofOf(from *vaultapi.Source) string {
	for _, proof := range proofs {
		if from.Has(proof.Name) {
			return proof.Name
		}
	}
	return ""
}

// verified renders verdicts on signatures, or on MACs.
func verified[I any](in batchOf[I], verdicts []dataplane.Verdict) (*logical.Response, error) {
	if in.single {
		return vaultapi.Data(fVerdict.Is(verdicts[0].Valid)), verdicts[0].Err
	}
	rows := make([]verdictRow, len(verdicts))
	for i, v := range verdicts {
		rows[i] = verdictRow{v.Valid, errorText(v.Err), in.references[i]}
	}
	return vaultapi.Data(fResults.Is(rows)), nil
}
