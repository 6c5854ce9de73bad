// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // one of the hashes that Transit's clients choose for RSA-OAEP, where collisions do no harm
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/tink-crypto/tink-go/v2/kwp/subtle"
)

// This file wraps keys that move from one mount to another, or come from elsewhere. A wrapped key is, in standard base64,
//
//	RSA-OAEP(wrapping key, AES-256 key) | AES-KWP(AES-256 key, target key)
//
// which PKCS#11 calls CKM_RSA_AES_KEY_WRAP, with AES-KWP of RFC 5649. The target key is the key itself where it is symmetric, and
// PKCS#8 where it has a public half.

const (
	wrapAlgorithm = RSA4096 // of the wrapping key of a mount
	ephemeralSize = 32
)

// wrapHashes are the hashes that RSA-OAEP may use, in the words of Transit.
var wrapHashes = map[string]func() hash.Hash{
	"SHA1": sha1.New, "SHA224": sha256.New224, "SHA256": sha256.New, "SHA384": sha512.New384, "SHA512": sha512.New,
}

// WrapHash returns the hash of that name, in upper or lower case. The error is [ErrInput].
func WrapHash(name string) (func() hash.Hash, error) {
	if newHash, known := wrapHashes[strings.ToUpper(name)]; known {
		return newHash, nil
	}
	return nil, inputError(fmt.Sprintf("unknown hash function: %.40q; known are SHA1, SHA224, SHA256, SHA384, SHA512", name))
}

// errWrapped is the one answer to a wrapped key that does not open, whichever half does not.
var errWrapped = inputError("ciphertext: it does not open with the wrapping key and this hash_function")

// UnwrapKey opens a target key that was wrapped for the wrapping key of a mount. The caller wipes it. Errors match [ErrInput] where
// the caller's data is at fault.
func UnwrapKey(wrapping Material, newHash func() hash.Hash, wrapped string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(wrapped)
	if err != nil {
		return nil, inputError("ciphertext: " + err.Error())
	}
	private, _, err := wrapAlgorithm.KeyPair(wrapping)
	if err != nil {
		return nil, err
	}
	key, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, errOtherKeyPair
	}
	if len(raw) <= key.Size() {
		return nil, inputError("provided ciphertext is too short")
	}
	ephemeral, err := rsa.DecryptOAEP(newHash(), nil, key, raw[:key.Size()], nil)
	if err != nil || len(ephemeral) != ephemeralSize {
		return nil, errWrapped
	}
	defer clear(ephemeral)
	kwp, err := subtle.NewKWP(ephemeral)
	if err != nil {
		return nil, fmt.Errorf("%w: unwrap key: %w", ErrInternal, err)
	}
	target, err := kwp.Unwrap(raw[key.Size():])
	if err != nil {
		return nil, errWrapped
	}
	return target, nil
}

// WrapKey wraps the key of m for an RSA key, of which public is the public half in PKIX DER. Errors match [ErrInput] where one of
// the keys cannot be had that way.
func WrapKey(m Material, public []byte, newHash func() hash.Hash, rand io.Reader) (string, error) {
	parsed, err := x509.ParsePKIXPublicKey(public)
	to, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok {
		return "", inputError("unsupported key type in use; must be a rsa key")
	}
	target, _ := m.Reveal()
	if len(target) == 0 {
		return "", errNoPrivate
	}
	ephemeral := make([]byte, ephemeralSize)
	defer clear(ephemeral)
	if err := fill(rand, ephemeral); err != nil {
		return "", fmt.Errorf("wrap key: %w", err)
	}
	first, err := rsa.EncryptOAEP(newHash(), rand, to, ephemeral, nil)
	if err != nil {
		return "", inputError("wrap key: " + err.Error())
	}
	kwp, err := subtle.NewKWP(ephemeral)
	if err != nil {
		return "", fmt.Errorf("%w: wrap key: %w", ErrInternal, err)
	}
	second, err := kwp.Wrap(target)
	if err != nil {
		return "", fmt.Errorf("%w: wrap key: %w", ErrInternal, err)
	}
	return base64.StdEncoding.EncodeToString(bytes.Join([][]byte{first, second}, nil)), nil
}
