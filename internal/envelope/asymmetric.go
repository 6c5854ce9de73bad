// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"bytes"
	"cmp"
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"io"
	"strconv"

	"github.com/hashicorp/vault/sdk/helper/keysutil"
)

// asymmetric signs, and with RSA encrypts, through keysutil. Without a private half it verifies and encrypts only.
type asymmetric struct {
	prefix  string
	version int
	policy  *keysutil.Policy
	private bool
	curve   elliptic.Curve // of ECDSA; nil: it is another algorithm
}

func newAsymmetric(spec Spec, version int, m Material, _ io.Reader) (mode, error) {
	private, public, err := spec.Algorithm.KeyPair(m)
	if err != nil {
		return nil, err
	}
	_, hmacKey := m.Reveal()
	policy := keysutil.NewPolicy(keysutil.PolicyConfig{Type: keyTypes[spec.Algorithm], Derived: spec.Derived, KDF: keysutil.Kdf_hkdf_sha256})
	policy.Keys = map[string]keysutil.KeyEntry{strconv.Itoa(version): entryOf(private, public, bytes.Clone(hmacKey))}
	policy.LatestVersion = version
	policy.MinDecryptionVersion = version
	return &asymmetric{prefix(version), version, policy, private != nil, curves[spec.Algorithm]}, nil
}

// newPairMode is the mode of a key with a public half.
func newPairMode(spec Spec, version int, m Material, rand io.Reader) (mode, error) {
	if spec.Algorithm.isLattice() {
		return newLattice(spec, version, m, rand)
	}
	return newAsymmetric(spec, version, m, rand)
}

// NewVerifier returns the cipher of the public half alone, in PKIX DER: all that is left of a version that was destroyed. It
// verifies.
func NewVerifier(spec Spec, version int, public []byte) (*Cipher, error) {
	m := NewKeyPair(nil, public, make([]byte, hmacKeySize))
	mode, err := newPairMode(spec, version, m, nil)
	if err != nil {
		return nil, err
	}
	return &Cipher{spec: spec, version: version, mode: mode}, nil
}

// errNoPrivate is the one answer to what needs the private half of a version that has none.
var errNoPrivate = inputError("requested version does not contain a private part")

func (a *asymmetric) encrypt(_ context.Context, plaintext string, p Params) (string, error) {
	if p.Hash != "" {
		return a.encryptOAEP(plaintext, p.Hash)
	}
	out, err := a.policy.EncryptWithOptions(keysutil.EncryptionOptions{KeyVersion: a.version}, plaintext, keysutil.PaddingScheme(p.Padding))
	if err == nil {
		return out, nil
	}
	if _, broken := base64.StdEncoding.DecodeString(plaintext); broken != nil {
		return "", plaintextError(broken)
	}
	return "", classify(err)
}

func (a *asymmetric) decrypt(_ context.Context, payload string, p Params) (string, error) {
	if !a.private {
		return "", errNoPrivate
	}
	return a.opened(payload, p)
}

// opened decrypts. What keysutil refuses before it needs the private half is refused without one, too.
func (a *asymmetric) opened(payload string, p Params) (string, error) {
	if p.Hash != "" {
		return a.decryptOAEP(payload, p.Hash)
	}
	out, err := a.policy.DecryptWithOptions(keysutil.EncryptionOptions{}, a.prefix+payload, keysutil.PaddingScheme(p.Padding))
	return out, classify(err)
}

// CheckPadding refuses an unknown padding scheme of RSA keys. The error is [ErrInput].
func CheckPadding(scheme string) error {
	if _, err := keysutil.ParsePaddingScheme(scheme); err != nil {
		return inputError(err.Error())
	}
	return nil
}

// SignParams are the inputs of a signature besides what is signed, in Transit's words. Scheme and SaltLength are for RSA alone.
type SignParams struct {
	Context    []byte // of derived keys
	Hash       string // one of [IsHash]; empty: sha2-256
	Marshaling string // asn1 or jws; empty: asn1
	Scheme     string // pss or pkcs1v15; empty: pss
	SaltLength int    // rsa.PSSSaltLengthAuto, rsa.PSSSaltLengthEqualsHash, or in bytes
}

func (p SignParams) options() *keysutil.SigningOptions {
	return &keysutil.SigningOptions{
		HashAlgorithm: keysutil.HashTypeMap[cmp.Or(p.Hash, "sha2-256")], Marshaling: keysutil.MarshalingTypeMap[cmp.Or(p.Marshaling, "asn1")],
		SigAlgorithm: p.Scheme, SaltLength: p.SaltLength,
	}
}

// Signature is what was signed with. PublicKey is that of the context, of derived keys.
type Signature struct {
	Text      string // prefix and version included
	PublicKey []byte // raw, 32 bytes
}

// signer is a mode that signs and verifies: [asymmetric], [lattice] or [residentPair].
type signer interface {
	canSign() bool // there is a private half
	sign(ctx context.Context, input []byte, p SignParams) (Signature, error)
	verify(input []byte, payload string, p SignParams) (bool, error)
}

// errNoSigning is answered where the algorithm does not sign.
func (c *Cipher) errNoSigning(what string) error {
	return inputError("message " + what + " not supported for key type " + string(c.spec.Algorithm))
}

// Sign signs input, which is a digest by p.Hash where the algorithm signs digests and not texts. Errors match [ErrInput] where the
// caller's data or parameters are at fault.
func (c *Cipher) Sign(ctx context.Context, input []byte, p SignParams) (Signature, error) {
	s, ok := c.mode.(signer)
	switch {
	case !ok:
		return Signature{}, c.errNoSigning("signing")
	case !s.canSign():
		return Signature{}, errNoPrivate
	}
	return s.sign(ctx, input, p)
}

func (a *asymmetric) canSign() bool { return a.private }

func (a *asymmetric) sign(_ context.Context, input []byte, p SignParams) (Signature, error) {
	result, err := a.policy.SignWithOptions(a.version, p.Context, input, p.options())
	if err != nil {
		return Signature{}, classify(err)
	}
	return Signature{result.Signature, result.PublicKey}, nil
}

// ParseSignature splits a signature, which has the form of a ciphertext, into its version and its payload. There is no version 0.
func ParseSignature(signature string) (version int, payload string, err error) {
	return parse(signature, "signature", "signature")
}

// Verify reports whether a signature, of which [ParseSignature] returned the payload, is one of input by this version. An error that matches
// [ErrInput] says that it is none at all.
func (c *Cipher) Verify(_ context.Context, input []byte, payload string, p SignParams) (bool, error) {
	s, ok := c.mode.(signer)
	if !ok {
		return false, c.errNoSigning("verification")
	}
	return s.verify(input, payload, p)
}

func (a *asymmetric) verify(input []byte, payload string, p SignParams) (bool, error) {
	if a.curve != nil {
		if ok, err := hasForm(a.curve, payload, p.Marshaling); !ok {
			return false, err
		}
	}
	valid, err := a.policy.VerifySignatureWithOptions(p.Context, input, a.prefix+payload, p.options())
	return valid, classify(err)
}

// SignsDigests reports whether the algorithm signs a digest of the text, and not the text.
func (c *Cipher) SignsDigests() bool { return keyTypes[c.spec.Algorithm].HashSignatureInput() }
