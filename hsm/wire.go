// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

const (
	ivSize    = 12 // of AES-GCM in software
	tagSize   = 16
	blockSize = 16
	macSize   = 32

	// RSA of 2048 to 8192 bits.
	minModulus = 256
	maxModulus = 1024

	// Tokens take little in one call, and what is wrapped is a key.
	maxSecret = 4 << 10
	maxAAD    = 64 << 10
)

// wrapping is a wrapped secret:
//
//	+----------+-----------+---------------+-----------+----+-----------------+------+----------+
//	| suite u8 | kek_id 16 | mechanism u32 | iv_len u8 | iv | wrapped_len u16 | text | [mac 32] |
//	+----------+-----------+---------------+-----------+----+-----------------+------+----------+
//
// Numbers are big endian. Nothing may follow. The mechanism is a CK_MECHANISM_TYPE. By suite:
//
//	1, 2  AES-GCM      iv 12  text: ciphertext | tag 16
//	3     AES-GCM      iv 16  text: ciphertext | tag 16
//	4     AES-CBC-PAD  iv 16  text: blocks of 16 bytes             mac
//	5     RSA-OAEP     no iv  text: as long as the modulus         mac
//
// The ciphertext of AES-GCM is authenticated with [outerAAD]; a MAC is HMAC-SHA256 over outerAAD | iv | text.
type wrapping struct {
	suite Suite
	kekID [16]byte
	iv    []byte
	text  []byte
	mac   []byte
}

// encode relies on the sizes that Wrap has checked.
func (e wrapping) encode() []byte {
	out := append(make([]byte, 0, 24+len(e.iv)+len(e.text)+len(e.mac)), byte(e.suite))
	out = append(out, e.kekID[:]...)
	out = binary.BigEndian.AppendUint32(out, uint32(shapes[e.suite].mechanism)) //nolint:gosec // numbers of PKCS#11
	out = append(out, byte(len(e.iv)))                                          //nolint:gosec // at most 16
	out = append(out, e.iv...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(e.text))) //nolint:gosec // at most maxSecret+tagSize
	out = append(out, e.text...)
	return append(out, e.mac...)
}

// decode slices in into its parts, which share its memory. cryptobyte checks every length. The
// mechanism and the lengths of IV and MAC follow from the suite, so whatever else they say is damage:
// not every suite authenticates them.
func decode(in []byte) (wrapping, error) {
	var e wrapping
	var iv, text cryptobyte.String
	s := cryptobyte.String(in)
	shape, ok := e.decodeHead(&s)
	ok = ok && s.ReadUint8LengthPrefixed(&iv) && len(iv) == shape.ivSize &&
		s.ReadUint16LengthPrefixed(&text) && (!shape.mac || s.ReadBytes(&e.mac, macSize)) && s.Empty()
	e.iv, e.text = iv, text
	if !ok || !shape.fits(e) {
		return wrapping{}, ErrCorrupt
	}
	return e, nil
}

// decodeHead reads the suite, the identifier and the mechanism, and returns what the suite asks of the rest.
func (e *wrapping) decodeHead(s *cryptobyte.String) (of shape, ok bool) {
	var number uint8
	var mechanism uint32
	if !s.ReadUint8(&number) || !s.CopyBytes(e.kekID[:]) || !s.ReadUint32(&mechanism) {
		return shape{}, false
	}
	e.suite = Suite(number)
	of, ok = shapes[e.suite]
	return of, ok && cryptoki.MechanismType(mechanism) == of.mechanism
}

// clone returns a wrapping that shares no memory with what was decoded.
func (e wrapping) clone() wrapping {
	e.iv, e.text, e.mac = bytes.Clone(e.iv), bytes.Clone(e.text), bytes.Clone(e.mac)
	return e
}

// KEKIDOf returns the identifier of the key encryption key that made wrapped, so that its wrapper can
// be picked. The error matches [ErrCorrupt] where wrapped is in no known format.
func KEKIDOf(wrapped []byte) ([16]byte, error) {
	e, err := decode(wrapped)
	return e.kekID, err
}

const outerDomain = "keylife/outer/v1"

// outerAAD is the domain-separated context of a wrapped secret:
//
//	"keylife/outer/v1" | aad_len u32 | aad | kek_id 16 | suite u8
func outerAAD(aad []byte, kekID [16]byte, s Suite) []byte {
	out := append(make([]byte, 0, len(outerDomain)+4+len(aad)+len(kekID)+1), outerDomain...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(aad))) //nolint:gosec // at most maxAAD
	out = append(out, aad...)
	out = append(out, kekID[:]...)
	return append(out, byte(s))
}

// macInput is what the MAC of a wrapped secret is over. All of its parts have lengths that follow from the suite or stand
// in it.
func macInput(outer []byte, iv, text []byte) []byte {
	out := make([]byte, 0, len(outer)+len(iv)+len(text))
	out = append(out, outer...)
	out = append(out, iv...)
	return append(out, text...)
}
