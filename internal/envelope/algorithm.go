// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"crypto/aes"
	"crypto/cipher"

	"github.com/hashicorp/vault/sdk/helper/keysutil"
	"golang.org/x/crypto/chacha20poly1305"
)

// Algorithm names what a key does its work by, in Transit's words.
type Algorithm string

// The algorithms.
const (
	AES128GCM96       Algorithm = "aes128-gcm96"
	AES256GCM96       Algorithm = "aes256-gcm96"
	ChaCha20Poly1305  Algorithm = "chacha20-poly1305"
	XChaCha20Poly1305 Algorithm = "xchacha20-poly1305"
	Ed25519           Algorithm = "ed25519"
	ECDSAP256         Algorithm = "ecdsa-p256"
	ECDSAP384         Algorithm = "ecdsa-p384"
	ECDSAP521         Algorithm = "ecdsa-p521"
	RSA2048           Algorithm = "rsa-2048"
	RSA3072           Algorithm = "rsa-3072"
	RSA4096           Algorithm = "rsa-4096"
	MLDSA44           Algorithm = "mldsa-44"
	MLDSA65           Algorithm = "mldsa-65"
	MLDSA87           Algorithm = "mldsa-87"
	HMAC              Algorithm = "hmac"
	AES128CMAC        Algorithm = "aes128-cmac"
	AES192CMAC        Algorithm = "aes192-cmac"
	AES256CMAC        Algorithm = "aes256-cmac"
)

// The nonce and the tag of the algorithms that encrypt without an RSA key. XChaCha20-Poly1305 alone has a longer nonce.
const (
	nonceSize = 12
	tagSize   = 16
)

// hmacKeySize is the size of the HMAC key that Transit gives every version of a type that does not make MACs itself.
const hmacKeySize = 32

// hmacKeySize returns the size of the HMAC key beside the keys of a. That of hmac is the key itself.
func (a Algorithm) hmacKeySize() int {
	if a == HMAC || a.isCMAC() {
		return 0
	}
	return hmacKeySize
}

// The sizes in bytes that keys of algorithm hmac may have.
const (
	minHMACSize = 32
	maxHMACSize = 512
)

// KeySize returns the length in bytes of the keys of a, and zero where it is none of a's: for algorithms with a public half, for
// hmac, and for an unknown one.
func (a Algorithm) KeySize() int {
	switch a {
	case AES128GCM96, AES128CMAC:
		return 16
	case AES192CMAC:
		return 24
	case AES256GCM96, ChaCha20Poly1305, XChaCha20Poly1305, AES256CMAC:
		return 32
	default:
		return 0
	}
}

// keyTypes are keysutil's names of the algorithms that it knows.
var keyTypes = map[Algorithm]keysutil.KeyType{
	AES128GCM96: keysutil.KeyType_AES128_GCM96, AES256GCM96: keysutil.KeyType_AES256_GCM96, ChaCha20Poly1305: keysutil.KeyType_ChaCha20_Poly1305,
	Ed25519:   keysutil.KeyType_ED25519,
	ECDSAP256: keysutil.KeyType_ECDSA_P256, ECDSAP384: keysutil.KeyType_ECDSA_P384, ECDSAP521: keysutil.KeyType_ECDSA_P521,
	RSA2048: keysutil.KeyType_RSA2048, RSA3072: keysutil.KeyType_RSA3072, RSA4096: keysutil.KeyType_RSA4096,
	HMAC:       keysutil.KeyType_HMAC,
	AES128CMAC: keysutil.KeyType_AES128_CMAC, AES192CMAC: keysutil.KeyType_AES192_CMAC, AES256CMAC: keysutil.KeyType_AES256_CMAC,
}

// aead returns the primitive for a key whose length has been checked.
func (a Algorithm) aead(key []byte) (cipher.AEAD, error) {
	switch a {
	case ChaCha20Poly1305:
		return chacha20poly1305.New(key)
	case XChaCha20Poly1305:
		return chacha20poly1305.NewX(key)
	default:
		return newGCM(key)
	}
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
