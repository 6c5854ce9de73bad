// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1

import (
	"crypto/aes"
	"crypto/cipher"
)

func (k *DataKey) mustPRK() []byte {
	prk, err := k.prk()
	if err != nil {
		panic(err)
	}
	return prk
}

// WithNonce makes the key seal with one nonce always: for vectors.
func (k *DataKey) WithNonce(nonce []byte) *DataKey {
	block, err := aes.NewCipher(expand(k.mustPRK(), fieldLabel))
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return k.with(oneNonce{gcm, nonce})
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
	commitment = k.aad[commitmentAt:]
	aad, err := c.after(k.aad[:])
	if s == Stream {
		var of streaming
		of, err = k.stream(c)
		commitment, aad = of.header.commitment[:], of.aad
	}
	if err != nil {
		panic(err)
	}
	prk := k.mustPRK()
	return expand(prk, fieldLabel), expand(prk, streamLabel), commitment, aad
}

// Mixed is a data key that tells the commitment of one key and encrypts with another: what an attacker would make.
func Mixed(commits, encrypts *DataKey) *DataKey {
	return commits.with(encrypts.aead)
}

func (k *DataKey) with(aead cipher.AEAD) *DataKey {
	return &DataKey{head: k.head, edk: k.edk, version: k.version, aad: k.aad, aead: aead, key: k.key}
}
