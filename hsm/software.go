// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"io"
)

const kekSize = 32

// Software wraps with an AES-256 key held by Vault's seal-wrapped storage; it stands where no HSM is
// configured. It is safe for concurrent use if its source of randomness is.
//
// IVs are random, so one key should wrap no more than 2^32 secrets (NIST SP 800-38D section 8.3).
type Software struct {
	id [16]byte
	// A function, because fmt, given a wrong verb, prints through the pointers of a struct whose
	// methods it cannot call: the key schedule was seen that way.
	aead func() cipher.AEAD
	rand io.Reader
}

// NewSoftware returns the wrapper of the key encryption key kek, 32 bytes that are copied, known by
// id. IVs are drawn from rand.
func NewSoftware(id [16]byte, kek []byte, rand io.Reader) (*Software, error) {
	if len(kek) != kekSize {
		return nil, fmt.Errorf("new software wrapper: key of %d bytes, want %d", len(kek), kekSize)
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, fmt.Errorf("new software wrapper: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("new software wrapper: %w", err)
	}
	return &Software{id, func() cipher.AEAD { return aead }, rand}, nil
}

// KEKID returns the identifier of the key encryption key.
func (s *Software) KEKID() [16]byte { return s.id }

// Wrap encrypts the secret dek, of 1 to 4096 bytes, and binds it to aad.
func (s *Software) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkSizes(dek, aad); err != nil {
		return nil, err
	}
	iv := make([]byte, ivSize)
	if _, err := io.ReadFull(s.rand, iv); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	text := s.aead().Seal(nil, iv, dek, outerAAD(aad, s.id, SuiteGCM))
	return wrapping{suite: SuiteGCM, kekID: s.id, iv: iv, text: text}.encode(), nil
}

// checkSizes refuses what no wrapper takes.
func checkSizes(dek, aad []byte) error {
	if len(dek) == 0 || len(dek) > maxSecret || len(aad) > maxAAD {
		return fmt.Errorf("%d bytes with %d of associated data: size not supported", len(dek), len(aad))
	}
	return nil
}

// Unwrap returns the secret in wrapped, in a buffer for the caller to wipe. The error matches
// [ErrKEKMissing] if wrapped names another key, and [ErrCorrupt] if it does not open under aad.
func (s *Software) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e, err := decode(wrapped)
	if err != nil {
		return nil, err
	}
	if e.kekID != s.id {
		return nil, fmt.Errorf("%w: %x", ErrKEKMissing, e.kekID)
	}
	if e.suite != SuiteGCM || len(aad) > maxAAD {
		return nil, ErrCorrupt
	}
	dek, err := s.aead().Open(nil, e.iv, e.text, outerAAD(aad, s.id, SuiteGCM))
	if err != nil {
		return nil, ErrCorrupt
	}
	return dek, nil
}

// String names the wrapper by the identifier of its key.
func (s *Software) String() string { return "software wrapper " + hex.EncodeToString(s.id[:]) }

// GoString returns what [Software.String] does.
func (s *Software) GoString() string { return s.String() }

// Format prints what [Software.String] returns for every verb.
func (s *Software) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }
