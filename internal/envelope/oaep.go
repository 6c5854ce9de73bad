// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"hash"
	"strconv"

	"github.com/hashicorp/vault/sdk/helper/keysutil"
)

// PKCS1v15 is the padding scheme of RSA keys that has no hash.
const PKCS1v15 = string(keysutil.PaddingScheme_PKCS1v15)

// RSA-OAEP (RFC 8017, section 7.1) with a hash that the caller chooses, which is also that of the mask generation function, and
// without a label. keysutil has it with SHA-256 alone; with that, the ciphertexts are the same. So are the errors.

func (a *asymmetric) encryptOAEP(plaintext, name string) (string, error) {
	newHash, err := a.oaep(name)
	if err != nil {
		return "", err
	}
	raw, err := base64.StdEncoding.DecodeString(plaintext)
	if err != nil {
		return "", plaintextError(err)
	}
	defer clear(raw)
	sealed, err := rsa.EncryptOAEP(newHash(), rand.Reader, a.entry().RSAPublicKey, raw, nil)
	if err != nil {
		return "", internalError("failed to RSA encrypt the plaintext: " + err.Error())
	}
	return encode(a.prefix, sealed), nil
}

func (a *asymmetric) decryptOAEP(payload, name string) (string, error) {
	newHash, err := a.oaep(name)
	if err != nil {
		return "", err
	}
	sealed, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return "", errPayload
	}
	raw, err := rsa.DecryptOAEP(newHash(), nil, a.entry().RSAKey, sealed, nil)
	if err != nil {
		return "", internalError("failed to RSA decrypt the ciphertext: " + err.Error())
	}
	defer clear(raw)
	return encode("", raw), nil
}

// oaep returns the hash of a name. Other keys than those of RSA encrypt nothing.
func (a *asymmetric) oaep(name string) (func() hash.Hash, error) {
	newHash := keysutil.HashFuncMap[keysutil.HashTypeMap[name]]
	switch {
	case a.entry().RSAPublicKey == nil:
		return nil, inputError("message encryption not supported for key type " + a.policy.Type.String())
	case newHash == nil:
		return nil, inputError("unsupported hash algorithm " + strconv.Quote(name))
	default:
		return newHash, nil
	}
}

func (a *asymmetric) entry() keysutil.KeyEntry { return a.policy.Keys[strconv.Itoa(a.version)] }
