// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/hashicorp/vault/sdk/helper/keysutil"
)

// boundKeySize is the size of both nonce keys of a convergent key: Transit's, and the one for texts with associated
// data.
const boundKeySize = 32

// encryptBound encrypts under a convergent key with associated data. Transit's nonce is of the plaintext alone, so equal
// texts under two associated data would share one, and give the authentication key away (SP 800-38D, appendix A). This
// nonce is of both. Its key is what HKDF gives after Transit's two, since under Transit's nonce key every input is the
// plaintext of somebody without associated data. The ciphertext holds its nonce, so Transit decrypts it.
func (d *derived) encryptBound(plaintext string, p Params) (string, error) {
	text, err := base64.StdEncoding.DecodeString(plaintext)
	if err != nil {
		return "", plaintextError(err)
	}
	defer clear(text)
	if len(p.Nonce) > 0 {
		return "", inputError("nonce provided when not allowed")
	}
	keys, err := d.policy.DeriveKey(p.Context, nil, d.version, d.keySize+2*boundKeySize)
	if err != nil {
		return "", classify(err)
	}
	defer clear(keys)
	nonce := boundNonce(keys[d.keySize+boundKeySize:], text, p.AssociatedData)
	options := keysutil.SymmetricOpts{Nonce: nonce, AdditionalData: p.AssociatedData}
	raw, err := d.policy.SymmetricEncryptRaw(d.version, keys[:d.keySize], text, options)
	if err != nil {
		return "", classify(err)
	}
	return encode(d.prefix, raw), nil
}

// boundNonce is an HMAC over the length of the associated data in 8 bytes, the associated data and the text, cut to the
// size of a nonce. The length makes the boundary between the two part of it.
func boundNonce(key, text, associatedData []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(associatedData))))
	mac.Write(associatedData)
	mac.Write(text)
	return mac.Sum(nil)[:nonceSize:nonceSize]
}
