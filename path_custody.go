// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/ledger"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fCursor     = vaultapi.Text("after", "Where the page before ended: its next_after.").Query()
	fNextCursor = vaultapi.Text("next_after", "What to pass as after for the next page; empty: this was the last one.")
	fLines      = vaultapi.Strings("records", "The records, each the JSON text that is hashed.")
	fKey        = vaultapi.Text("key", "Name of the key. Empty: all keys.")
	fPayload    = vaultapi.Text("payload", "The checkpoint: the exact text that is signed.")
	fKeyID      = vaultapi.Text("key_id", "Id of the signing key.")
	fSignature  = vaultapi.Text("signature", "Base64 Ed25519 signature.")
	fBroken     = vaultapi.Strings("broken", "Keys whose chain was altered or lost at its end: the checkpoint does not cover them.")
	fCheckpoint = vaultapi.Object("checkpoint", "A signed checkpoint to hold the records against.")
	fValid      = vaultapi.Bool("valid", "No problem was found.")
	fVerified   = vaultapi.Int("records", "Records verified.")
	fProblems   = vaultapi.Strings("problems", "What is wrong.")
	fUnfinished = vaultapi.List("unfinished", "Acts that began and have no outcome yet.")
	fPublicKeys = vaultapi.List("keys", "The generations, oldest first; each but the first is signed by the one before.")
)

// custodyAPI serves the custody records: the history of a key, the export, and what proves that both are whole.
type custodyAPI struct{}

func (a custodyAPI) paths() []path {
	paths := []path{
		custodyPath("export", "Export the custody records, to keep and verify them elsewhere.", logical.ReadOperation, a.export,
			vaultapi.FieldsOf(fCursor, vaultapi.Limit), vaultapi.FieldsOf(fLines, fNextCursor),
			"Pages of 500 records, or limit, at most 1000, key by key. `vault-plugin-keylife verify` checks an export offline."),
		custodyPath("checkpoint", "Sign how far the records of the keys have come. Keep it outside: only that shows records that were cut off.", logical.UpdateOperation, a.checkpoint,
			vaultapi.FieldsOf(fKey, vaultapi.After, vaultapi.Limit), vaultapi.FieldsOf(fPayload, fKeyID, fSignature, fBroken, fNextCursor),
			"One checkpoint covers 1000 keys, or limit, at most 5000; next_after leads to the next."),
		custodyPath("public-key", "Read the public keys that checkpoints are signed with.", logical.ReadOperation, a.publicKeys,
			vaultapi.Fields{}, vaultapi.FieldsOf(fPublicKeys),
			"Whoever trusts the first key, by its id, trusts all that follow from it."),
		custodyPath("rotate-key", "Make a new key for checkpoints, signed by the old one.", logical.UpdateOperation, a.rotateKey,
			vaultapi.FieldsOf(fReason), vaultapi.FieldsOf(fPublicKeys), "Checkpoints signed before stay valid."),
		custodyPath("verify", "Verify the custody records of a key, here.", logical.UpdateOperation, a.verify,
			vaultapi.FieldsOf(fKey, fCheckpoint), vaultapi.FieldsOf(fValid, fVerified, fProblems, fUnfinished),
			"Without a key, all keys, up to 100000 records. With a checkpoint that was kept outside, also that no record behind it was cut off, by hand or by restoring an older snapshot."),
	}
	for _, chain := range chains() {
		paths = append(paths, chain.path())
	}
	return paths
}

func custodyPath(name, help string, op logical.Operation, h handler, in, out vaultapi.Fields, more string) path {
	return path{
		Pattern: "custody/" + name, ID: vaultapi.ID{Suffix: "custody-" + name}, Mode: vaultapi.Strict, Fields: in,
		Operations: operations{op: {Handle: h, Summary: help, Answer: help, Fields: out}},
		Synopsis:   help, Description: help + " " + more,
	}
}

func (custodyAPI) export(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := vaultapi.PageSize(c, 500, 1000)
	if err != nil {
		return nil, err
	}
	lines, next, err := c.Ledger().Export(ctx, fCursor.Get(c), limit)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fLines.Is(lines), fNextCursor.Is(next)), nil
}

func (custodyAPI) checkpoint(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := vaultapi.PageSize(c, 1000, 5000)
	if err != nil {
		return nil, err
	}
	checkpoint, err := c.Ledger().Checkpoint(ctx, fKey.Get(c), vaultapi.After.Get(c), limit)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(
		fPayload.Is(checkpoint.Payload), fKeyID.Is(checkpoint.KeyID), fSignature.Is(checkpoint.Signature),
		fBroken.Is(checkpoint.Broken), fNextCursor.Is(checkpoint.Next),
	), nil
}

func (custodyAPI) rotateKey(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	keys, err := c.Ledger().RotateSigningKey(ctx, pre.Reason)
	return publicKeysResponse(keys, err)
}

func (custodyAPI) publicKeys(ctx context.Context, c *request) (*logical.Response, error) {
	keys, err := c.Ledger().PublicKeys(ctx)
	return publicKeysResponse(keys, err)
}

func publicKeysResponse(keys custody.PublicKeys, err error) (*logical.Response, error) {
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fPublicKeys.Is(keys)), nil
}

func (custodyAPI) verify(ctx context.Context, c *request) (*logical.Response, error) {
	checkpoints, err := readCheckpoint(c)
	if err != nil {
		return nil, err
	}
	found, err := c.Ledger().Verify(ctx, fKey.Get(c), checkpoints)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(
		fValid.Is(len(found.Problems) == 0), fVerified.Is(found.Records), fProblems.Is(found.Problems), fUnfinished.Is(found.Unfinished),
	), nil
}

// readCheckpoint reads a checkpoint as custody/checkpoint returned it.
func readCheckpoint(c *request) ([]custody.Signed, error) {
	given := fCheckpoint.Lookup(c)
	if given == nil {
		return nil, nil
	}
	var texts [3]string
	for i, name := range []string{fPayload.Name, fKeyID.Name, fSignature.Name} {
		text, ok := (*given)[name].(string)
		if !ok {
			return nil, vaultapi.Invalidf("checkpoint: must have %s as custody/checkpoint returned it", name)
		}
		texts[i] = text
	}
	return []custody.Signed{{Payload: texts[0], KeyID: texts[1], Signature: texts[2]}}, nil
}

// attestationAPI serves signed statements of how versions were made.
type attestationAPI struct{}

// attestationAnswer shows an envelope by the names of DSSE.
var attestationAnswer = vaultapi.Answer[custody.Envelope]{
	vaultapi.Show(vaultapi.Text("payload", "The statement, base64: the exact bytes that are signed."), func(e custody.Envelope) string { return e.Payload }),
	vaultapi.Show(vaultapi.Text("payloadType", "application/vnd.in-toto+json."), func(e custody.Envelope) string { return e.PayloadType }),
	vaultapi.ShowAs(vaultapi.List("signatures", "keyid, one of custody/public-key, and sig, a base64 Ed25519 signature."),
		func(e custody.Envelope) any {
			return vaultapi.Rows(e.Signatures, func(s custody.EnvelopeSignature) map[string]any {
				return map[string]any{"keyid": s.KeyID, "sig": s.Signature}
			})
		}),
}

func (a attestationAPI) paths() []path {
	const help = "Read a signed statement of how a version was made: when, by which act, under which policy and with whose approval."
	return []path{{
		Pattern: "keys/" + named + `/versions/(?P<version>\d+)/attestation`, ID: vaultapi.ID{Suffix: "key-version-attestation"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fName, fVersion),
		Operations: operations{logical.ReadOperation: {
			Handle: a.read, Summary: help, Answer: "The statement in its envelope.", Fields: attestationAnswer.Fields(),
		}},
		Synopsis: help,
		Description: "An in-toto Statement about the custody record of the act, in a DSSE envelope, signed with the key that signs checkpoints. " +
			"`vault-plugin-keylife verify -attestation` checks it offline, alone or against an export.",
	}}
}

func (a attestationAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	detail, err := c.Versions().Read(ctx, fName.Get(c), fVersion.Get(c))
	if err != nil {
		return nil, err
	}
	attested, err := a.attested(ctx, c, detail)
	if err != nil {
		return nil, err
	}
	envelope, err := c.Ledger().Attest(ctx, attested)
	if err != nil {
		return nil, err
	}
	return attestationAnswer.Of(envelope), nil
}

// attested is what of a version is attested, beside what custody says.
func (a attestationAPI) attested(ctx context.Context, c *request, v engine.VersionDetail) (ledger.Attested, error) {
	name := fName.Get(c)
	k, err := c.Data().Key(ctx, name)
	if err != nil {
		return ledger.Attested{}, err
	}
	dates, err := c.stored.Versions().DatesOf(ctx, *k, lifecycle.Of(v.Number))
	return ledger.Attested{
		Key: name, KeyID: v.KeyID, Number: v.Number, Type: string(v.Type), Fingerprint: v.Fingerprint, Created: v.Created, Activated: dates[v.Number],
		FingerprintOf: func(ctx context.Context, number int) (string, error) {
			before, err := c.stored.Versions().Version(ctx, name, number)
			if errors.Is(err, refusal.ErrNotFound) || err == nil && before.KeyID != v.KeyID {
				return "", nil
			}
			return before.Fingerprint, err
		},
	}, err
}
