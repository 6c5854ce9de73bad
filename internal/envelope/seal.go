// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"context"
	"fmt"
	"io"
)

const dekSize = 32

// KeyWrapper wraps the 32-byte data encryption key of a blob, in an HSM or in software. It must be
// safe for concurrent use and must neither keep nor change its arguments.
//
// Unwrap answers damaged input and wrong aad with an error that has a method Corrupt() bool which
// returns true; [Open] makes it [ErrCorrupt]. Any other error says that the wrapper could not tell,
// because it is out of reach ([ErrUnavailable]) or lacks the key, and reaches the caller as it is.
type KeyWrapper interface {
	Wrap(ctx context.Context, dek, aad []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error)
}

// Seal returns the stored form of m: m under a fresh key, and that key under w. See [blob] for the
// format.
func Seal(ctx context.Context, w KeyWrapper, m Material, b Binding, rand io.Reader) ([]byte, error) {
	aad, err := b.innerAAD()
	if err != nil {
		return nil, err
	}
	text, err := encodeMaterial(m)
	if err != nil {
		return nil, err
	}
	defer clear(text)

	dek := make([]byte, dekSize)
	defer clear(dek)
	if err := fill(rand, dek); err != nil {
		return nil, fmt.Errorf("seal key material: %w", err)
	}
	wrapped, err := w.Wrap(ctx, dek, aad)
	if err != nil {
		return nil, fmt.Errorf("wrap key: %w", err)
	}
	// The key is new and used once, so any nonce would do; a random one survives a wrapper or a
	// generator that repeats a key.
	nonce := make([]byte, nonceSize)
	if err := fill(rand, nonce); err != nil {
		return nil, fmt.Errorf("seal key material: %w", err)
	}
	aead, err := newGCM(dek)
	if err != nil {
		return nil, fmt.Errorf("%w: seal key material: %w", ErrInternal, err)
	}
	return blob{wrapped, nonce, aead.Seal(nil, nonce, text, aad)}.encode()
}

// Open returns the material that was sealed for b.
func Open(ctx context.Context, w KeyWrapper, sealed []byte, b Binding) (Material, error) {
	aad, err := b.innerAAD()
	if err != nil {
		return Material{}, err
	}
	parts, err := decodeBlob(sealed)
	if err != nil {
		return Material{}, err
	}
	dek, err := w.Unwrap(ctx, parts.wrapped, aad)
	if err != nil {
		return Material{}, unwrapError(err)
	}
	defer clear(dek)
	return parts.open(dek, aad)
}

func (p blob) open(dek, aad []byte) (Material, error) {
	// AES would also take 16 or 24 bytes; no blob of ours has such a key.
	if len(dek) != dekSize {
		return Material{}, ErrCorrupt
	}
	aead, err := newGCM(dek)
	if err != nil {
		return Material{}, fmt.Errorf("%w: open key material: %w", ErrInternal, err)
	}
	text, err := aead.Open(nil, p.nonce, p.text, aad)
	if err != nil {
		return Material{}, ErrCorrupt
	}
	defer clear(text)
	return decodeMaterial(text)
}

func unwrapError(err error) error {
	if isCorrupt(err) {
		return ErrCorrupt
	}
	return fmt.Errorf("unwrap key: %w", err)
}
