// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"context"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"io"
	"unsafe"
)

// direct is the hot path, for keys without derivation. It makes the same bytes as keysutil with a
// primitive set up once, one buffer in which everything happens in place, and a single allocation:
// the answer.
type direct struct {
	prefix string
	aead   cipher.AEAD
	nonce  int // its size
	rand   io.Reader
	pool   scratchPool
}

func newDirect(spec Spec, version int, m Material, rand io.Reader) (mode, error) {
	key, _ := m.Reveal()
	aead, err := spec.Algorithm.aead(key)
	if err != nil {
		return nil, fmt.Errorf("%w: new cipher: %w", ErrInternal, err)
	}
	return &direct{prefix: prefix(version), aead: aead, nonce: aead.NonceSize(), rand: rand}, nil
}

func (d *direct) encrypt(_ context.Context, plaintext string, p Params) (string, error) {
	s := d.pool.get(d.nonce + base64.StdEncoding.DecodedLen(len(plaintext)) + tagSize)
	defer d.pool.put(s)

	nonce, text := s.bytes[:d.nonce], s.bytes[d.nonce:]
	n, err := base64.StdEncoding.Decode(text, []byte(plaintext))
	if err != nil {
		return "", plaintextError(err)
	}
	// After the decoding, as in keysutil: of two faults the caller is told about the first.
	if p.AssociatedDataErr != nil {
		return "", internalError(p.AssociatedDataErr.Error())
	}
	if len(p.Nonce) > 0 {
		return "", inputError("nonce provided when not allowed")
	}
	if err := fill(d.rand, nonce); err != nil {
		return "", fmt.Errorf("draw nonce: %w", err)
	}
	sealed := d.aead.Seal(text[:0], nonce, text[:n], p.AssociatedData)
	return encode(d.prefix, s.bytes[:d.nonce+len(sealed)]), nil
}

func (d *direct) decrypt(_ context.Context, payload string, p Params) (string, error) {
	s := d.pool.get(base64.StdEncoding.DecodedLen(len(payload)))
	defer d.pool.put(s)

	n, err := base64.StdEncoding.Decode(s.bytes, []byte(payload))
	if err != nil {
		return "", errPayload
	}
	if p.AssociatedDataErr != nil {
		return "", internalError(p.AssociatedDataErr.Error())
	}
	if n < d.nonce {
		return "", inputError("invalid ciphertext length")
	}
	nonce, text := s.bytes[:d.nonce], s.bytes[d.nonce:n]
	plain, err := d.aead.Open(text[:0], nonce, text, p.AssociatedData)
	if err != nil {
		return "", errAuthentication
	}
	return encode("", plain), nil
}

// encode returns prefix and the base64 of raw in a string allocated once at its exact size.
func encode(prefix string, raw []byte) string {
	out := make([]byte, len(prefix)+base64.StdEncoding.EncodedLen(len(raw)))
	copy(out, prefix)
	base64.StdEncoding.Encode(out[len(prefix):], raw)
	// Converting would copy, and for a plaintext leave a second copy about. Nobody else holds out,
	// so nothing can change the string.
	return unsafe.String(unsafe.SliceData(out), len(out)) //nolint:gosec // see above
}
