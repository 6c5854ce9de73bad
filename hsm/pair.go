// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// ResidentPair signs, and with RSA decrypts, by a private key that never leaves its token: one call of the token each. It is safe
// for concurrent use.
//
// What it signs is seen to verify with the public half before it is given out. So no handle that names another key signs for
// this one, and no fault of a computation with the private key leaves the process (Boneh, DeMillo, Lipton 1997).
type ResidentPair struct {
	held func() *held // see Wrapper
}

// NewResidentPair returns the private half of a key that [GenerateKey] returned.
func NewResidentPair(t Token, k ResidentKey) (*ResidentPair, error) {
	switch {
	case !kinds[k.Type].isPair():
		return nil, fmt.Errorf("new resident key: %w: a pair of type %q", ErrUnsupported, k.Type)
	case !k.isMade():
		return nil, errUnfinished(k)
	}
	h, err := newHeld(t, k)
	if err != nil {
		return nil, err
	}
	return &ResidentPair{func() *held { return h }}, nil
}

// Sign returns the signature of a digest, or of a text with Ed25519, in the form that [crypto.Signer] has it in. The options are
// those of crypto/rsa; a hash alone is for PKCS #1 v1.5. The error matches [ErrUnsupported] where the token does not sign so.
func (r *ResidentPair) Sign(ctx context.Context, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if len(digest) > maxText {
		return nil, fmt.Errorf("sign: %w: %d bytes are too many for a token", ErrUnsupported, len(digest))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h := r.held()
	out, err := h.run(ctx, digest, func(s cryptoki.Session, found handles, digest []byte) ([]byte, error) {
		return h.sign(s, found, digest, options)
	})
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return out, nil
}

// Decrypts reports whether the token was seen to decrypt with a padding. What it does not decrypt must not be encrypted.
func (k ResidentKey) Decrypts(p Padding) bool { return slices.Contains(k.Paddings, p) }

// Decrypt returns the text of a ciphertext, in a buffer for the caller to wipe. The error matches [ErrCorrupt] if it does not open.
func (r *ResidentPair) Decrypt(ctx context.Context, ciphertext []byte, p Padding) ([]byte, error) {
	public, isRSA := r.held().public.(*rsa.PublicKey)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !isRSA || !r.held().key.Decrypts(p):
		return nil, fmt.Errorf("decrypt: %w: the token does not decrypt RSA with %s", ErrUnsupported, paddingNames[p])
	case len(ciphertext) != public.Size():
		return nil, ErrCorrupt
	}
	out, err := r.held().decrypt(ctx, ciphertext, p)
	switch {
	case errors.Is(err, ErrCorrupt):
		return nil, ErrCorrupt
	case err != nil:
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return out, nil
}

var paddingNames = map[Padding]string{OAEP: "OAEP and SHA-256 (CKM_RSA_PKCS_OAEP)", PKCS1v15: "PKCS #1 v1.5 (CKM_RSA_PKCS)"}

func (h *held) decrypt(ctx context.Context, ciphertext []byte, p Padding) ([]byte, error) {
	m := cryptoki.Mechanism{Type: cryptoki.RSAPKCS}
	if p == OAEP {
		m = cryptoki.Mechanism{Type: cryptoki.RSAPKCSOAEP, OAEP: &cryptoki.OAEP{Hash: cryptoki.SHA256}}
	}
	ciphertext = slices.Clone(ciphertext)
	return h.opened(ctx, func(s cryptoki.Session, found handles, _ []byte) ([]byte, error) {
		out, err := s.Do(cryptoki.Decrypt, found.key, m, ciphertext)
		if isDataError(err) {
			return nil, ErrCorrupt
		}
		return out, unsupportedError(m.Type, err)
	})
}

// sign signs in a session, and sees that the signature is one of the public half.
func (h *held) sign(s cryptoki.Session, found handles, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	m, input, err := h.mechanism(digest, options)
	if err != nil {
		return nil, err
	}
	raw, err := s.Do(cryptoki.Sign, found.key, m, input)
	if err != nil {
		return nil, unsupportedError(m.Type, err)
	}
	signature, err := h.encode(raw)
	if err == nil && !h.verifies(digest, signature, options) {
		err = fmt.Errorf("%w: what it signs does not verify with the public half that is stored", ErrKEKMismatch)
	}
	return signature, err
}

// unsupportedError marks an answer that says that the token does not work so, with any data.
func unsupportedError(m cryptoki.MechanismType, err error) error {
	for _, e := range []cryptoki.Error{
		cryptoki.ErrMechanismInvalid, cryptoki.ErrMechanismParamInvalid, cryptoki.ErrArgumentsBad, cryptoki.ErrKeyFunctionNotPermitted,
		cryptoki.ErrDataInvalid, cryptoki.ErrDataLenRange, cryptoki.ErrKeySizeRange, cryptoki.ErrFunctionNotSupported,
	} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: the token refuses %v: %w", ErrUnsupported, m, err)
		}
	}
	return err
}

// ResidentMAC makes HMACs with a secret that never leaves its token: one call of the token each. It is safe for concurrent use.
type ResidentMAC struct {
	held func() *held // see Wrapper
}

// NewResidentMAC returns the secret of a key that [GenerateKey] returned.
func NewResidentMAC(t Token, k ResidentKey) (*ResidentMAC, error) {
	switch {
	case k.Type != HMAC:
		return nil, fmt.Errorf("new resident key: %w: a secret of type %q", ErrUnsupported, k.Type)
	case !k.isMade():
		return nil, errUnfinished(k)
	}
	h, err := newHeld(t, k)
	return &ResidentMAC{func() *held { return h }}, err
}

// MAC returns the HMAC of input by a hash. The error matches [ErrUnsupported] where the token has none by that.
func (r *ResidentMAC) MAC(ctx context.Context, hash crypto.Hash, input []byte) ([]byte, error) {
	m := hashes[hash].mac
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(input) > maxText:
		return nil, fmt.Errorf("make MAC: %w: %d bytes are too many for a token", ErrUnsupported, len(input))
	case m == 0:
		return nil, fmt.Errorf("make MAC: %w: no HMAC by %v", ErrUnsupported, hash)
	}
	out, err := r.held().run(ctx, input, func(s cryptoki.Session, found handles, input []byte) ([]byte, error) {
		mac, err := s.Do(cryptoki.Sign, found.key, cryptoki.Mechanism{Type: m}, input)
		if err == nil && len(mac) != hash.Size() {
			err = fmt.Errorf("%w: the token makes a MAC of %d bytes, want %d", ErrUnsupported, len(mac), hash.Size())
		}
		return mac, unsupportedError(m, err)
	})
	if err != nil {
		return nil, fmt.Errorf("make MAC: %w", err)
	}
	return out, nil
}

func (h *held) String() string { return "resident key " + hex.EncodeToString(h.key.ID[:]) }

// Format prints the identifier of the key for every verb.
func (r *ResidentPair) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.held().String()) }

// Format prints the identifier of the key for every verb.
func (r *ResidentMAC) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.held().String()) }
