// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
)

// ResidentKey encrypts and decrypts with a key that never leaves its token: one call of the token each. It must be safe for
// concurrent use and must neither keep nor change its arguments. What it returns belongs to the caller.
//
// An error is classed as a [KeyWrapper]'s is: one whose method Corrupt() bool returns true says that the ciphertext does not
// authenticate, and [ErrUnavailable] that nobody could tell.
type ResidentKey interface {
	// Encrypt returns nonce, ciphertext and tag in a row. The token or the implementation draws the nonce.
	Encrypt(ctx context.Context, text, associatedData []byte) ([]byte, error)
	Decrypt(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error)
}

// ResidentPair is a private key that never leaves its token: one call of the token a signature, and with RSA a text. What is said of
// [ResidentKey] is true of it.
type ResidentPair interface {
	// Sign returns the signature of a digest, or of a text with Ed25519, in the form of [crypto.Signer] and with its options.
	Sign(ctx context.Context, digest []byte, options crypto.SignerOpts) ([]byte, error)
	// Decrypt decrypts with an RSA key and a padding, oaep or pkcs1v15.
	Decrypt(ctx context.Context, ciphertext []byte, padding string) ([]byte, error)
	// Decrypts reports whether the token knows the padding: what it could not decrypt is not encrypted. The token is not asked.
	Decrypts(padding string) bool
}

// ResidentMAC is a key of HMACs that never leaves its token: one call of the token a MAC. What is said of [ResidentKey] is true of it.
type ResidentMAC interface {
	MAC(ctx context.Context, hash crypto.Hash, input []byte) ([]byte, error)
}

// TokenKey is a key that a token is to make for a version.
type TokenKey struct {
	Algorithm Algorithm
	Size      int // of hmac, in bytes
	KeyID     string
	Version   int
}

// MaxResidentText is the largest text that a key on a token takes: tokens take little in one call.
const MaxResidentText = 64 << 10

// NewResidentCipher returns the cipher of a version whose key stays on a token. Its ciphertexts are those of [NewCipher], but
// that a token may choose a nonce of another size.
func NewResidentCipher(version int, key ResidentKey) (*Cipher, error) {
	if version < 1 || key == nil {
		return nil, internalError(fmt.Sprintf("new cipher: version %d of a key on a token", version))
	}
	return &Cipher{spec: Spec{Algorithm: AES256GCM96}, version: version, mode: &resident{prefix(version), key}}, nil
}

// OnToken reports whether the cipher asks a token for what its private or secret key does.
func (c *Cipher) OnToken() bool {
	switch c.mode.(type) {
	case *resident, *residentPair, residentMAC:
		return true
	}
	return false
}

// resident finds faults in the order in which [direct] does.
type resident struct {
	prefix string
	key    ResidentKey
}

func (r *resident) encrypt(ctx context.Context, plaintext string, p Params) (string, error) {
	text, err := base64.StdEncoding.DecodeString(plaintext)
	defer clear(text)
	switch {
	case err != nil:
		return "", plaintextError(err)
	case p.AssociatedDataErr != nil:
		return "", internalError(p.AssociatedDataErr.Error())
	case len(p.Nonce) > 0:
		return "", inputError("nonce provided when not allowed")
	}
	if err := checkSizes("plaintext", len(text), MaxResidentText, p); err != nil {
		return "", err
	}
	out, err := r.key.Encrypt(ctx, text, p.AssociatedData)
	if err != nil {
		return "", residentError("plaintext", err)
	}
	return encode(r.prefix, out), nil
}

func (r *resident) decrypt(ctx context.Context, payload string, p Params) (string, error) {
	in, err := base64.StdEncoding.DecodeString(payload)
	switch {
	case err != nil:
		return "", errPayload
	case p.AssociatedDataErr != nil:
		return "", internalError(p.AssociatedDataErr.Error())
	case len(in) < nonceSize:
		return "", inputError("invalid ciphertext length")
	}
	const most = MaxResidentText + 16 + tagSize // with the largest nonce
	if err := checkSizes("ciphertext", len(in), most, p); err != nil {
		return "", err
	}
	text, err := r.key.Decrypt(ctx, in, p.AssociatedData)
	defer clear(text)
	if err != nil {
		return "", residentError("ciphertext", err)
	}
	return encode("", text), nil
}

// checkSizes refuses what no token is asked for.
func checkSizes(field string, size, most int, p Params) error {
	if size > most {
		return inputError(fmt.Sprintf("%s: %d bytes: a key with protection=hsm takes at most %d", field, size, most))
	}
	if n := len(p.AssociatedData); n > MaxResidentText {
		return inputError(fmt.Sprintf("associated_data: %d bytes: a key with protection=hsm takes at most %d", n, MaxResidentText))
	}
	return nil
}

// residentError classes an error of a key on a token.
func residentError(field string, err error) error {
	switch {
	case isCorrupt(err):
		return errAuthentication
	case errors.Is(err, ErrUnsupported):
		return unsupportedError(field + ": " + err.Error())
	default:
		return fmt.Errorf("key on the token: %w", err)
	}
}

func isCorrupt(err error) bool {
	var c interface{ Corrupt() bool }
	return errors.As(err, &c) && c.Corrupt()
}
