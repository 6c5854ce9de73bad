// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
)

// What is derived from a data key. The labels of the format; docs/envelope.md says why there is one more for streams.
const (
	extractSalt       = "keylife envelope v1"
	fieldLabel        = "field"
	streamLabel       = "stream"
	commitLabel       = "commit"
	commitStreamLabel = "commit stream" // and the context
)

// DataKey seals and opens messages with one data key. It may be used by many goroutines at once.
type DataKey struct {
	head   []byte // of every message in one piece, up to its body
	aad    []byte // of every message in one piece, before the context
	aead   cipher.AEAD
	header Header
	prk    []byte
	stream []byte
}

// New takes a data key and what the engine encrypted it to. The bytes of the key are not kept.
func New(name, edk string, key []byte) (*DataKey, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("data key: %d bytes, want %d: %w", len(key), KeySize, ErrInput)
	}
	k := &DataKey{header: Header{Suite: Field, Name: name, EDK: edk}}
	if err := k.header.check(); err != nil {
		return nil, err
	}
	prk, err := hkdf.Extract(sha256.New, key, []byte(extractSalt))
	if err != nil {
		return nil, fmt.Errorf("derive from a data key: %w", err)
	}
	k.prk, k.stream = prk, expand(prk, streamLabel)
	k.header.commitment = [commitmentSize]byte(expand(prk, commitLabel))
	k.head, k.aad = k.header.appendTo(nil), k.header.associatedData()
	k.aead, err = newAEAD(expand(prk, fieldLabel))
	return k, err
}

// Format keeps the key out of logs and errors, whatever the verb.
func (k *DataKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "data key [redacted]") }

// expand derives 32 bytes. It cannot fail: Expand fails for more than 255 blocks, and this is one.
func expand(prk []byte, info string) []byte {
	out, err := hkdf.Expand(sha256.New, prk, info, sha256.Size)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return out
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cipher of a data key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// associatedData binds suite and commitment to what is encrypted. The context follows.
func (h *Header) associatedData() []byte {
	return append(append([]byte(magic), byte(h.Suite)), h.commitment[:]...)
}

// Seal encrypts a plaintext of at most [MaxPlaintext] bytes to a message in one piece.
func (k *DataKey) Seal(plaintext []byte, c Context) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("plaintext: %d bytes, the most is %d: %w", len(plaintext), MaxPlaintext, ErrInput)
	}
	aad, err := c.after(k.aad)
	if err != nil {
		return nil, err
	}
	message := make([]byte, len(k.head), len(k.head)+nonceSize+len(plaintext)+tagSize)
	copy(message, k.head)
	return k.aead.Seal(message, nil, plaintext, aad), nil //nolint:gosec // G407: the AEAD makes the nonce, and takes none
}

// Open decrypts a message in one piece. An error that is not [ErrInvalidMessage] is about the context.
func (k *DataKey) Open(m Message, c Context) ([]byte, error) {
	aad, err := c.after(k.aad)
	if err != nil {
		return nil, err
	}
	if m.Suite != Field || !sameCommitment(&m.Header, &k.header) {
		return nil, ErrInvalidMessage
	}
	plaintext, err := k.aead.Open(nil, nil, m.Body, aad)
	if err != nil {
		return nil, ErrInvalidMessage
	}
	return plaintext, nil
}

func sameCommitment(a, b *Header) bool {
	return subtle.ConstantTimeCompare(a.commitment[:], b.commitment[:]) == 1
}
