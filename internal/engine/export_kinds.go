// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// ExportKind is which of what a version holds is asked for.
type ExportKind string

// The kinds.
const (
	EncryptionKey    ExportKind = "encryption-key"
	SigningKey       ExportKind = "signing-key"
	HMACKey          ExportKind = "hmac-key"
	CMACKey          ExportKind = "cmac-key"
	PublicKey        ExportKind = "public-key"
	CertificateChain ExportKind = "certificate-chain"
)

// ExportKinds lists them.
func ExportKinds() []string {
	return []string{string(EncryptionKey), string(SigningKey), string(HMACKey), string(CMACKey), string(PublicKey), string(CertificateChain)}
}

// exportKind says which keys have it, how another is refused, and how it is taken: from material, or from what is no secret.
type exportKind struct {
	supported func(t keytype.Type) bool
	refused   string

	private func(a envelope.Algorithm, m envelope.Material, e envelope.Encoding) (any, error)
	public  func(ctx context.Context, s PublicHalves, v versionOf, e envelope.Encoding) (any, error)
}

var exportKinds = map[ExportKind]exportKind{
	EncryptionKey: {supported: keytype.Type.SupportsEncryption, refused: "encryption not supported for the key", private: envelope.Algorithm.EncodeKey},
	SigningKey:    {supported: keytype.Type.SupportsSigning, refused: "signing not supported for the key", private: envelope.Algorithm.EncodeKey},
	CMACKey:       {supported: keytype.Type.SupportsCMAC, refused: "CMAC not supported for the key", private: envelope.Algorithm.EncodeKey},
	HMACKey: {
		supported: func(t keytype.Type) bool { return !t.SupportsCMAC() }, refused: "HMAC not supported for the key",
		private: func(_ envelope.Algorithm, m envelope.Material, e envelope.Encoding) (any, error) {
			return envelope.EncodeHMACKey(m, e)
		},
	},
	PublicKey: {supported: every, public: publicKey},
	CertificateChain: {
		supported: keytype.Type.SupportsSigning, refused: "certificate chain not supported for keys that do not support signing",
		public: certificateChain,
	},
}

// versionOf is a version of a key.
type versionOf struct {
	lifecycle.Version
	key *lifecycle.Key
}

// publicKey refuses a version without a public half as Transit does, as if the server were at fault.
func publicKey(_ context.Context, _ PublicHalves, v versionOf, e envelope.Encoding) (any, error) {
	if len(v.Public) == 0 {
		return nil, refusal.AsFault(refusal.Refusedf("unknown key type %s for export type %s", lifecycle.TypesOf(v.key).Of(v.Number), PublicKey))
	}
	return envelope.EncodePublic(v.Public, e)
}

// certificateChain refuses a version without one likewise, and with it the versions that have one.
func certificateChain(ctx context.Context, s PublicHalves, v versionOf, e envelope.Encoding) (any, error) {
	der, err := s.chain(ctx, v.key, v.Number)
	switch {
	case err != nil:
		return nil, err
	case len(der) == 0:
		return nil, refusal.AsFault(refusal.Refusedf("selected key version does not have a certificate chain imported"))
	}
	return envelope.EncodeChain(der, e)
}

func every(keytype.Type) bool { return true }

// kind returns the row of what is asked for.
func (in Exporting) kind() (exportKind, error) {
	kind, known := exportKinds[in.Kind]
	if !known {
		return kind, refusal.Invalidf("invalid export type: %.64s: must be one of %s", string(in.Kind), strings.Join(ExportKinds(), ", "))
	}
	return kind, nil
}

// check refuses keys that have no such thing.
func (e exportKind) check(k *lifecycle.Key) error {
	if lifecycle.TypesOf(k).Any(e.supported) {
		return nil
	}
	return refusal.Refusedf("%s", e.refused)
}

// of is what allows versions, for those that have such a thing. Where only some have a public half, the others are left out.
func (e exportKind) of(k *lifecycle.Key, allowed func(n int) error) func(n int) error {
	return func(n int) error {
		t := lifecycle.TypesOf(k).Of(n)
		switch {
		case !e.supported(t):
			return refusal.Refusedf("version %d: %s", n, e.refused)
		case e.public != nil && !t.IsAsymmetric() && lifecycle.TypesOf(k).Any(keytype.Type.IsAsymmetric):
			return refusal.Refusedf("version %d is of type %s, which has no public half", n, t)
		}
		return allowed(n)
	}
}
