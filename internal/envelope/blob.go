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
	keyPairMagic   = "KLM2"
	referenceMagic = "KLR1"
	tokenPairMagic = "KLR2"
)

// encodeMaterial returns the plaintext of a blob, for the caller to wipe:
//
//	"KLM1" | key_len u16 | key | hmac_key_len u16 | hmac key
//	"KLM2" | the same, where the key may be empty | public_len u16 | public half
//	"KLR1" | reference
//	"KLR2" | reference_len u16 | reference | public_len u16 | public half
func encodeMaterial(m Material) ([]byte, error) {
	switch {
	case m.reference != nil && m.public == nil:
		return append([]byte(referenceMagic), m.reference...), nil
	case m.reference != nil && len(m.reference) <= math.MaxUint16 && len(m.public) <= math.MaxUint16:
		return appendPart(appendPart([]byte(tokenPairMagic), m.reference), m.public), nil
	}
	key, hmacKey := m.Reveal()
	empty := len(key) == 0 && m.public == nil
	if empty || len(key) > math.MaxUint16 || len(hmacKey) > math.MaxUint16 || len(m.public) > math.MaxUint16 {
		return nil, internalError(fmt.Sprintf("seal key material: key of %d bytes, HMAC key of %d, public half of %d", len(key), len(hmacKey), len(m.public)))
	}
	// At its full size from the start: a buffer that grows leaves copies behind.
	out := make([]byte, 0, len(materialMagic)+6+len(key)+len(hmacKey)+len(m.public))
	if m.public == nil {
		return appendPart(appendPart(append(out, materialMagic...), key), hmacKey), nil
	}
	return appendPart(appendPart(appendPart(append(out, keyPairMagic...), key), hmacKey), m.public), nil
}

func appendPart(dst, part []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(part))) //nolint:gosec // checked by encodeMaterial
	return append(dst, part...)
}

// decodeMaterial returns copies, so that text can be wiped.
func decodeMaterial(text []byte) (Material, error) {
	if reference, ok := bytes.CutPrefix(text, []byte(referenceMagic)); ok && len(reference) > 0 {
		return NewReference(reference, nil), nil
	}
	s := cryptobyte.String(text)
	var magic []byte
	if !s.ReadBytes(&magic, len(materialMagic)) {
		return Material{}, ErrCorrupt
	}
	form, known := forms[string(magic)]
	parts, ok := readParts(s, form.parts)
	if !known || !ok {
		return Material{}, ErrCorrupt
	}
	for _, i := range form.needed {
		if len(parts[i]) == 0 {
			return Material{}, ErrCorrupt
		}
	}
	return form.made(parts), nil
}

// forms are those of material in parts: how many, which of them must not be empty, and what they make.
var forms = map[string]struct {
	parts  int
	needed []int
	made   func(parts []cryptobyte.String) Material
}{
	materialMagic:  {2, []int{0}, func(p []cryptobyte.String) Material { return NewMaterial(p[0], p[1]) }},
	keyPairMagic:   {3, []int{2}, func(p []cryptobyte.String) Material { return NewKeyPair(p[0], p[2], p[1]) }},
	tokenPairMagic: {2, []int{0, 1}, func(p []cryptobyte.String) Material { return NewReference(p[0], p[1]) }},
}

// readParts reads so many parts, each behind its length, and nothing after them.
func readParts(s cryptobyte.String, n int) ([]cryptobyte.String, bool) {
	parts := make([]cryptobyte.String, n)
	for i := range parts {
		if !s.ReadUint16LengthPrefixed(&parts[i]) {
			return nil, false
		}
	}
	return parts, s.Empty()
}
