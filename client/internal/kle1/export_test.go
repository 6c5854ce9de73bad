// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1

import (
	"crypto/aes"
	"crypto/cipher"
)

// WithNonce makes the key seal with one nonce always: for vectors.
func (k *DataKey) WithNonce(nonce []byte) *DataKey {
	block, err := aes.NewCipher(expand(k.prk, fieldLabel))
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	fixed := *k
	fixed.aead = oneNonce{gcm, nonce}
	return &fixed
}

type oneNonce struct {
	cipher.AEAD
	nonce []byte
}

func (o oneNonce) Seal(dst, _, plaintext, aad []byte) []byte {
	return o.AEAD.Seal(append(dst, o.nonce...), o.nonce, plaintext, aad)
}

// Derived is what the format derives from the key: for vectors, and to look at a stream with Tink alone.
func (k *DataKey) Derived(s Suite, c Context) (field, stream, commitment, aad []byte) {
	h := k.header
	aad, err := c.after(h.associatedData())
	if s == Stream {
		h, aad, err = k.streamHeader(c)
	}
	if err != nil {
		panic(err)
	}
	return expand(k.prk, fieldLabel), k.stream, h.commitment[:], aad
}

// Mixed is a data key that tells the commitment of one key and encrypts with another: what an attacker would make.
func Mixed(commits, encrypts *DataKey) *DataKey {
	mixed := *commits
	mixed.aead = encrypts.aead
	return &mixed
}
