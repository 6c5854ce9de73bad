// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"context"
	"crypto/hmac"
	"errors"
	"io"
	"strconv"

	"github.com/hashicorp/vault/sdk/helper/keysutil"
)

// noMode is that of keys which make HMACs only.
type noMode struct{ algorithm Algorithm }

func newNoMode(spec Spec, _ int, _ Material, _ io.Reader) (mode, error) {
	return noMode{spec.Algorithm}, nil
}

func (n noMode) encrypt(context.Context, string, Params) (string, error) {
	return "", inputError("message encryption not supported for key type " + string(n.algorithm))
}

func (n noMode) decrypt(context.Context, string, Params) (string, error) {
	return "", inputError("message decryption not supported for key type " + string(n.algorithm))
}

// errNoHMACKey reports a cipher that has no HMAC key: that of a key on a token, or of a public half alone.
var errNoHMACKey = errors.New("no HMAC key exists for that key version")

// IsHash reports whether Transit knows a hash of the name. One of them is none.
func IsHash(name string) bool {
	_, known := keysutil.HashTypeMap[name]
	return known
}

// MakesHMAC reports whether there are HMACs by a hash of the name.
func MakesHMAC(hash string) bool { return keysutil.HashFuncMap[keysutil.HashTypeMap[hash]] != nil }

// Digest returns the digest of input, by a hash of that name; input itself where it is none.
func Digest(hash string, input []byte) []byte {
	newHash := keysutil.HashFuncMap[keysutil.HashTypeMap[hash]]
	if newHash == nil {
		return input
	}
	h := newHash()
	h.Write(input)
	return h.Sum(nil)
}

// HMAC returns the HMAC of input, by a hash of that name, with the key that every version has for it.
func (c *Cipher) HMAC(ctx context.Context, hash string, input []byte) ([]byte, error) {
	if m, onToken := c.mode.(residentMAC); onToken {
		return m.hmac(ctx, keysutil.CryptoHashMap[keysutil.HashTypeMap[hash]], input)
	}
	if c.hmacKey == nil {
		return nil, inputError(errNoHMACKey.Error())
	}
	newHash := keysutil.HashFuncMap[keysutil.HashTypeMap[hash]]
	if newHash == nil {
		return nil, inputError("unsupported hash algorithm " + strconv.Quote(hash))
	}
	mac := hmac.New(newHash, c.hmacKey())
	mac.Write(input)
	return mac.Sum(nil), nil
}
