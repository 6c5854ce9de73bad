// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"sync"
)

// What is derived from a data key. The labels of the format; docs/envelope.md says why there is one more for streams.
const (
	extractSalt       = "keylife envelope v1"
	fieldLabel        = "field"
	streamLabel       = "stream"
	commitLabel       = "commit"
	commitStreamLabel = "commit stream" // and the context

	commitmentAt = len(magic) + 1 // in the associated data
	aadSize      = commitmentAt + commitmentSize
)

// ErrWiped is returned where a stream would begin with a data key that was wiped.
var ErrWiped = errors.New("data key is wiped")

// DataKey seals and opens messages with one data key. It may be used by many goroutines at once.
type DataKey struct {
	head    string // of every message in one piece, up to its body
	edk     string // a part of head
	version int
	aad     [aadSize]byte // of every message in one piece, before the context
	aead    cipher.AEAD

	mu  sync.Mutex
	key [KeySize]byte // zero after Wipe
}

// New takes a data key and what the engine encrypted it to. The slice of the key is not kept.
func New(name, edk string, key []byte) (*DataKey, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("data key: %d bytes, want %d: %w", len(key), KeySize, ErrInput)
	}
	h := Header{Suite: Field, Name: []byte(name), EDK: []byte(edk)}
	if err := h.check(); err != nil {
		return nil, err
	}
	prk, err := extract(key)
	if err != nil {
		return nil, err
	}
	h.commitment = [commitmentSize]byte(expand(prk, commitLabel))
	k := &DataKey{head: string(h.appendTo(nil)), version: h.Version, aad: h.associatedData(), key: [KeySize]byte(key)}
	k.edk = k.head[len(k.head)-commitmentSize-len(edk) : len(k.head)-commitmentSize]
	k.aead, err = newAEAD(expand(prk, fieldLabel))
	return k, err
}

// EDK is what the engine encrypted the data key to.
func (k *DataKey) EDK() string { return k.edk }

// Version is that of the key that encrypted the data key.
func (k *DataKey) Version() int { return k.version }

// Bytes returns a copy of the data key, for who stores it sealed; nil after Wipe.
func (k *DataKey) Bytes() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key == [KeySize]byte{} {
		return nil
	}
	return append([]byte(nil), k.key[:]...)
}

// Wipe overwrites the data key. Streams that have begun go on. The key schedule of the AEAD cannot be overwritten: the garbage collector
// frees it with the DataKey.
func (k *DataKey) Wipe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.key[:])
}

// Format keeps the key out of logs and errors, whatever the verb.
func (k *DataKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "data key [redacted]") }

// prk is derived anew where a stream begins, so that memory holds one secret less for each data key.
func (k *DataKey) prk() ([]byte, error) {
	key := k.Bytes()
	if key == nil {
		return nil, ErrWiped
	}
	defer clear(key)
	return extract(key)
}

func extract(key []byte) ([]byte, error) {
	prk, err := hkdf.Extract(sha256.New, key, []byte(extractSalt))
	if err != nil {
		return nil, fmt.Errorf("derive from a data key: %w", err)
	}
	return prk, nil
}

// expand derives 32 bytes. It cannot fail: Expand fails for more than 255 blocks, and this is one.
func expand(prk []byte, info string) []byte {
	out, err := hkdf.Expand(sha256.New, prk, info, sha256.Size)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return out
}

// newAEAD makes nonces of its own.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := newBlock(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// newGCM opens segments, whose nonces follow from where they are.
func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := newBlock(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func newBlock(key []byte) (cipher.Block, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cipher of a data key: %w", err)
	}
	return block, nil
}

// associatedData binds suite and commitment to what is encrypted. The context follows.
func (h *Header) associatedData() (aad [aadSize]byte) {
	copy(aad[:], magic)
	aad[len(magic)] = byte(h.Suite)
	copy(aad[commitmentAt:], h.commitment[:])
	return aad
}

// Seal encrypts a plaintext of at most [MaxPlaintext] bytes to a message in one piece.
func (k *DataKey) Seal(plaintext []byte, c Context) ([]byte, error) {
	if err := CheckPlaintext(plaintext); err != nil {
		return nil, err
	}
	aad, err := c.after(k.aad[:])
	if err != nil {
		return nil, err
	}
	message := make([]byte, len(k.head), len(k.head)+nonceSize+len(plaintext)+tagSize)
	copy(message, k.head)
	return k.aead.Seal(message, nil, plaintext, aad), nil //nolint:gosec // G407: the AEAD makes the nonce, and takes none
}

// CheckPlaintext refuses what is too long for a message in one piece.
func CheckPlaintext(plaintext []byte) error {
	if len(plaintext) > MaxPlaintext {
		return fmt.Errorf("plaintext: %d bytes, the most is %d: %w", len(plaintext), MaxPlaintext, ErrInput)
	}
	return nil
}

// Open decrypts a message in one piece. An error that is not [ErrInvalidMessage] is about the context.
func (k *DataKey) Open(m Message, c Context) ([]byte, error) {
	aad, err := c.after(k.aad[:])
	if err != nil {
		return nil, err
	}
	if m.Suite != Field || !sameCommitment(m.commitment[:], k.aad[commitmentAt:]) {
		return nil, ErrInvalidMessage
	}
	plaintext, err := k.aead.Open(nil, nil, m.Body, aad)
	if err != nil {
		return nil, ErrInvalidMessage
	}
	return plaintext, nil
}

func sameCommitment(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
