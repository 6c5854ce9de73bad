// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/crypto/cryptobyte"
)

// maxBlob bounds a blob. The largest key, RSA-4096 in DER, needs some 3 KiB.
const maxBlob = 64 << 10

// blob is sealed material as it is stored:
//
//	+--------+-----------------+---------+----------+------------------+
//	| "KLW1" | wrapped_len u16 | wrapped | nonce 12 | ciphertext | tag |
//	+--------+-----------------+---------+----------+------------------+
//
// Numbers are big endian. wrapped is the wrapper's affair: the data encryption key under a wrapping
// key it names. The rest is AES-256-GCM under the data encryption key over the encoded material (see
// [encodeMaterial]) with [Binding.innerAAD]. The magic counts the format; an unknown one is refused.
type blob struct{ wrapped, nonce, text []byte }

const blobMagic = "KLW1"

func (p blob) encode() ([]byte, error) {
	size := len(blobMagic) + 2 + len(p.wrapped) + len(p.nonce) + len(p.text)
	if len(p.wrapped) == 0 || len(p.wrapped) > math.MaxUint16 || size > maxBlob {
		return nil, internalError(fmt.Sprintf("seal key material: blob of %d bytes with wrapped key of %d", size, len(p.wrapped)))
	}
	out := append(make([]byte, 0, size), blobMagic...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(p.wrapped))) //nolint:gosec // checked above
	out = append(out, p.wrapped...)
	out = append(out, p.nonce...)
	return append(out, p.text...), nil
}

// decodeBlob slices in into its parts, which share its memory. cryptobyte checks every length.
func decodeBlob(in []byte) (blob, error) {
	var magic []byte
	var wrapped cryptobyte.String
	var p blob
	s := cryptobyte.String(in)
	ok := len(in) <= maxBlob &&
		s.ReadBytes(&magic, len(blobMagic)) && string(magic) == blobMagic &&
		s.ReadUint16LengthPrefixed(&wrapped) && !wrapped.Empty() &&
		s.ReadBytes(&p.nonce, nonceSize) && len(s) > tagSize
	if !ok {
		return blob{}, ErrCorrupt
	}
	p.wrapped, p.text = wrapped, s
	return p, nil
}

const (
	materialMagic  = "KLM1"
	referenceMagic = "KLR1"
)

// encodeMaterial returns the plaintext of a blob, for the caller to wipe:
//
//	"KLM1" | key_len u16 | key | hmac_key_len u16 | hmac key
//	"KLR1" | reference
func encodeMaterial(m Material) ([]byte, error) {
	if m.reference != nil {
		return append([]byte(referenceMagic), m.reference...), nil
	}
	key, hmacKey := m.Reveal()
	if len(key) == 0 || len(key) > math.MaxUint16 || len(hmacKey) > math.MaxUint16 {
		return nil, internalError(fmt.Sprintf("seal key material: key of %d bytes, HMAC key of %d", len(key), len(hmacKey)))
	}
	// At its full size from the start: a buffer that grows leaves copies behind.
	out := append(make([]byte, 0, len(materialMagic)+4+len(key)+len(hmacKey)), materialMagic...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(key))) //nolint:gosec // checked above
	out = append(out, key...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(hmacKey))) //nolint:gosec // checked above
	return append(out, hmacKey...), nil
}

// decodeMaterial returns copies, so that text can be wiped.
func decodeMaterial(text []byte) (Material, error) {
	if reference, ok := bytes.CutPrefix(text, []byte(referenceMagic)); ok && len(reference) > 0 {
		return NewReference(reference), nil
	}
	var magic []byte
	var key, hmacKey cryptobyte.String
	s := cryptobyte.String(text)
	ok := s.ReadBytes(&magic, len(materialMagic)) && string(magic) == materialMagic &&
		s.ReadUint16LengthPrefixed(&key) && !key.Empty() &&
		s.ReadUint16LengthPrefixed(&hmacKey) && s.Empty()
	if !ok {
		return Material{}, ErrCorrupt
	}
	return NewMaterial(key, hmacKey), nil
}
