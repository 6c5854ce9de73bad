// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// Spec says what a key does, and how.
type Spec struct {
	Algorithm Algorithm

	// Size is the length in bytes of keys of algorithm hmac; zero for all others.
	Size int

	// Derived keys encrypt each context under a key of its own.
	Derived bool

	// Convergent keys give equal plaintexts in equal contexts, with equal associated data, equal
	// ciphertexts. Needs Derived.
	Convergent bool
}

// Params are the inputs of one operation besides its text.
type Params struct {
	// Context is required by derived keys and, as in Transit, silently ignored by all others.
	Context []byte

	// Nonce is refused by Encrypt, as all keys here choose their own, and ignored by Decrypt.
	Nonce []byte

	// Padding is the padding scheme of RSA keys, oaep or pkcs1v15; empty: oaep. Others take none.
	Padding string

	// Hash is that of OAEP, one of [IsHash] and not none; empty: sha2-256. It goes with padding scheme oaep alone.
	Hash string

	// AssociatedData is authenticated and not stored.
	AssociatedData []byte

	// AssociatedDataErr says why there is none although the caller gave some. It comes back as
	// [ErrInternal], and only if nothing is wrong that keysutil finds earlier.
	AssociatedDataErr error
}

// mode is how ciphertexts come about: [direct], [derived], [extended], [resident], [asymmetric], or not at all.
type mode interface {
	encrypt(ctx context.Context, plaintext string, p Params) (string, error)
	decrypt(ctx context.Context, payload string, p Params) (string, error)
}

// Cipher encrypts and decrypts, signs and verifies, makes MACs, under one version of a key, as its algorithm can. It is immutable and safe
// for concurrent use. One of [NewCipher] does no I/O but read randomness; one of [NewResidentCipher] asks a token.
type Cipher struct {
	spec    Spec
	version int
	mode    mode
	hmacKey func() []byte // a function, because fmt prints none: see [Material]; nil: there is none
}

// NewCipher returns the cipher of version with the secret m, of which it keeps its own copies.
// Reads of rand must be safe for concurrent use. Derived keys do not read it: keysutil takes the
// nonces of those from crypto/rand by itself.
//
// Errors match [ErrInternal], as spec and m come from our records. Data still to be trusted, such as
// a key to import, is checked with [Algorithm.KeySize] before it gets here.
func NewCipher(spec Spec, version int, m Material, rand io.Reader) (*Cipher, error) {
	if err := check(spec, version, m); err != nil {
		return nil, err
	}
	newMode := newDirect
	switch {
	case spec.Algorithm.isAsymmetric():
		newMode = newPairMode
	case spec.Algorithm == HMAC:
		newMode = newNoMode
	case spec.Algorithm.isCMAC():
		newMode = newCMAC
	case spec.Algorithm == XChaCha20Poly1305 && spec.Derived:
		newMode = newExtended
	case spec.Derived:
		newMode = newDerived
	}
	mode, err := newMode(spec, version, m, rand)
	if err != nil {
		return nil, err
	}
	c := &Cipher{spec: spec, version: version, mode: mode}
	if _, revealed := m.Reveal(); len(revealed) > 0 {
		hmacKey := bytes.Clone(revealed)
		c.hmacKey = func() []byte { return hmacKey }
	}
	return c, nil
}

func check(spec Spec, version int, m Material) error {
	key, hmacKey := m.Reveal()
	want, wantHMAC := spec.Algorithm.KeySize(), spec.Algorithm.hmacKeySize()
	if spec.Algorithm == HMAC { // versions that were imported have each a size of their own
		want = min(max(len(key), minHMACSize), maxHMACSize)
		wantHMAC = want
	}
	switch {
	case want == 0 && !spec.Algorithm.isAsymmetric():
		return internalError(fmt.Sprintf("new cipher: unknown algorithm %q", string(spec.Algorithm)))
	case spec.Convergent && spec.Algorithm == XChaCha20Poly1305:
		return internalError("new cipher: XChaCha20-Poly1305 has no convergent encryption")
	case spec.Convergent && !spec.Derived:
		return internalError("new cipher: convergent encryption needs a derived key")
	case version < 1:
		return internalError(fmt.Sprintf("new cipher: version %d is not positive", version))
	case want > 0 && len(key) != want:
		return internalError(fmt.Sprintf("new cipher: key of %d bytes, %s takes %d", len(key), spec.Algorithm, want))
	case len(hmacKey) != wantHMAC:
		return internalError(fmt.Sprintf("new cipher: HMAC key of %d bytes, want %d", len(hmacKey), wantHMAC))
	}
	return nil
}

// Encrypt takes a plaintext in standard base64 and returns its ciphertext, prefix and version
// included.
func (c *Cipher) Encrypt(ctx context.Context, plaintext string, p Params) (string, error) {
	return c.mode.encrypt(ctx, plaintext, p)
}

// Decrypt takes the payload of a ciphertext, as [Parse] returns it, and gives back the plaintext in
// standard base64. That the ciphertext names this version is for the caller to see to; under
// another one the payload does not authenticate.
func (c *Cipher) Decrypt(ctx context.Context, payload string, p Params) (string, error) {
	return c.mode.decrypt(ctx, payload, p)
}
