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
