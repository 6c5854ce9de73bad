// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
)

// suite counts the ways of wrapping. Numbers are never given twice; 2 to 5 are taken by the ways of
// the tokens to come.
type suite uint8

// suiteGCM is AES-256-GCM with a 12-byte IV that the caller chooses.
const suiteGCM suite = 1

// mechanismGCM is CKM_AES_GCM, PKCS#11 3.1 section 6.13. Software writes what a token would.
const mechanismGCM uint32 = 0x1087

const (
	ivSize  = 12
	tagSize = 16

	// Tokens take little in one call, and what is wrapped is a key.
	maxSecret = 4 << 10
	maxAAD    = 64 << 10
)

// wrapping is a wrapped secret:
//
//	+----------+-----------+---------------+-----------+----+-----------------+------------------+
//	| suite u8 | kek_id 16 | mechanism u32 | iv_len u8 | iv | wrapped_len u16 | ciphertext | tag |
//	+----------+-----------+---------------+-----------+----+-----------------+------------------+
//
// Numbers are big endian. Nothing may follow. The ciphertext is authenticated with [outerAAD].
type wrapping struct {
	kekID [16]byte
	iv    []byte
	text  []byte
}

// encode relies on the sizes that Wrap has checked.
func (e wrapping) encode() []byte {
	out := append(make([]byte, 0, 24+len(e.iv)+len(e.text)), byte(suiteGCM))
	out = append(out, e.kekID[:]...)
	out = binary.BigEndian.AppendUint32(out, mechanismGCM)
	out = append(out, byte(len(e.iv))) //nolint:gosec // ivSize
	out = append(out, e.iv...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(e.text))) //nolint:gosec // at most maxSecret+tagSize
	return append(out, e.text...)
}

// decode slices in into its parts, which share its memory. cryptobyte checks every length. The
// mechanism and the length of the IV follow from the suite, so whatever else they say is damage:
// the ciphertext does not authenticate them.
func decode(in []byte) (wrapping, error) {
	var e wrapping
	var number uint8
	var mechanism uint32
	var iv, text cryptobyte.String
	s := cryptobyte.String(in)
	ok := s.ReadUint8(&number) && suite(number) == suiteGCM &&
		s.CopyBytes(e.kekID[:]) &&
		s.ReadUint32(&mechanism) && mechanism == mechanismGCM &&
		s.ReadUint8LengthPrefixed(&iv) && len(iv) == ivSize &&
		s.ReadUint16LengthPrefixed(&text) && s.Empty() &&
		len(text) > tagSize && len(text) <= maxSecret+tagSize
	if !ok {
		return wrapping{}, ErrCorrupt
	}
	e.iv, e.text = iv, text
	return e, nil
}

// outerAAD is the domain-separated context of a wrapped secret:
//
//	"keylife/outer/v1" | aad_len u32 | aad | kek_id 16 | suite u8
func outerAAD(aad []byte, kekID [16]byte) []byte {
	out := []byte("keylife/outer/v1")
	out = binary.BigEndian.AppendUint32(out, uint32(len(aad))) //nolint:gosec // at most maxAAD
	out = append(out, aad...)
	out = append(out, kekID[:]...)
	return append(out, byte(suiteGCM))
}
