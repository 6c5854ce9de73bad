// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"crypto/aes"
	"crypto/cipher"

	"github.com/hashicorp/vault/sdk/helper/keysutil"
	"golang.org/x/crypto/chacha20poly1305"
)

// Algorithm names how a key encrypts, in Transit's words.
type Algorithm string

// The algorithms that encrypt.
const (
	AES128GCM96      Algorithm = "aes128-gcm96"
	AES256GCM96      Algorithm = "aes256-gcm96"
	ChaCha20Poly1305 Algorithm = "chacha20-poly1305"
)

// All three algorithms have the same nonce and tag; the ciphertext format rests on it.
const (
	nonceSize = 12
	tagSize   = 16
)

// hmacKeySize is the size of the HMAC key that Transit gives every version.
const hmacKeySize = 32

// KeySize returns the length in bytes of the keys of a, and zero for an unknown algorithm.
func (a Algorithm) KeySize() int {
	switch a {
	case AES128GCM96:
		return 16
	case AES256GCM96, ChaCha20Poly1305:
		return 32
	default:
		return 0
	}
}

// aead returns the primitive for a key whose length has been checked.
func (a Algorithm) aead(key []byte) (cipher.AEAD, error) {
	if a == ChaCha20Poly1305 {
		return chacha20poly1305.New(key)
	}
	return newGCM(key)
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// keyType is keysutil's name for an algorithm that has been checked.
func (a Algorithm) keyType() keysutil.KeyType {
	switch a {
	case AES128GCM96:
		return keysutil.KeyType_AES128_GCM96
	case AES256GCM96:
		return keysutil.KeyType_AES256_GCM96
	default:
		return keysutil.KeyType_ChaCha20_Poly1305
	}
}
