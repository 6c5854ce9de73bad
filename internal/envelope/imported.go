// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"io"
	"strings"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"
	"github.com/hashicorp/vault/sdk/helper/keysutil"
)

// oidRSAPSS is how the library of Go names the algorithm of a private key that may be used with RSA-PSS only.
const oidRSAPSS = "1.2.840.113549.1.1.10"

// ImportKey returns the material of a key that was made elsewhere: of the key itself where it is symmetric, and of a private key
// in PKCS#8. An HMAC key beside it is drawn from rand. Errors match [ErrInput] where the key is none of the algorithm.
func ImportKey(alg Algorithm, key []byte, rand io.Reader) (m Material, err error) {
	switch size := alg.KeySize(); {
	case alg == HMAC && (len(key) < minHMACSize || len(key) > maxHMACSize), size != 0 && len(key) != size:
		return m, inputError(fmt.Sprintf("invalid key size %d bytes for key type %s", len(key), alg))
	case alg == HMAC:
		return NewMaterial(key, key), nil // as in Transit
	}
	hmacKey := make([]byte, alg.hmacKeySize())
	defer clear(hmacKey)
	if err := fill(rand, hmacKey); err != nil {
		return m, fmt.Errorf("import key: %w", err)
	}
	if !alg.isAsymmetric() {
		return NewMaterial(key, hmacKey), nil
	}
	private, err := parsePrivate(key)
	if err != nil {
		return m, err
	}
	if !alg.Fits(private.Public()) {
		return m, errOtherType(alg, private)
	}
	return KeyPairOf(private, hmacKey)
}

// ImportPublicKey returns the material of a public half, in PEM, of a key that is elsewhere. The errors are as of [ImportKey].
func ImportPublicKey(alg Algorithm, text string, rand io.Reader) (m Material, err error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return m, inputError("error parsing public key: not in PEM format")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return m, inputError("error parsing public key: " + err.Error())
	}
	if !alg.Fits(public) {
		return m, errOtherType(alg, public)
	}
	der, err := x509.MarshalPKIXPublicKey(public) // anew: how it was written is no part of the key
	if err != nil {
		return m, fmt.Errorf("%w: encode public key: %w", ErrInternal, err)
	}
	hmacKey := make([]byte, hmacKeySize)
	defer clear(hmacKey)
	if err := fill(rand, hmacKey); err != nil {
		return m, fmt.Errorf("import key: %w", err)
	}
	return NewKeyPair(nil, der, hmacKey), nil
}

// errOtherType names what the key is, and what it was to be.
func errOtherType(alg Algorithm, key any) error {
	what := fmt.Sprintf("%T", key)
	switch key := key.(type) {
	case *rsa.PrivateKey:
		what = fmt.Sprintf("RSA with %d bits", key.N.BitLen())
	case *rsa.PublicKey:
		what = fmt.Sprintf("RSA with %d bits", key.N.BitLen())
	case *ecdsa.PrivateKey:
		what = "ECDSA on curve " + key.Params().Name
	case *ecdsa.PublicKey:
		what = "ECDSA on curve " + key.Params().Name
	case ed25519.PrivateKey, ed25519.PublicKey:
		what = "Ed25519"
	case *mldsa.PrivateKey:
		what = key.PublicKey().Parameters().String()
	case *mldsa.PublicKey:
		what = key.Parameters().String()
	}
	return inputError(fmt.Sprintf("invalid key type: expected %s, got %s", alg, what))
}

// parsePrivate reads PKCS#8 as keysutil does: also what NSS writes for Ed25519, and RSA keys that are for RSA-PSS only.
func parsePrivate(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "unknown elliptic curve"):
		key, err = keysutil.ParsePKCS8Ed25519PrivateKey(der)
	case strings.Contains(err.Error(), oidRSAPSS):
		key, err = keysutil.ParsePKCS8RSAPSSPrivateKey(der)
	}
	if err != nil {
		return nil, inputError("error parsing asymmetric key: it is no private key in PKCS#8")
	}
	private, ok := key.(crypto.Signer)
	if !ok {
		return nil, inputError(fmt.Sprintf("invalid key type: got %T", key))
	}
	return private, nil
}

// Clone returns a copy with a secret of its own.
func (m Material) Clone() Material {
	key, hmacKey := m.Reveal()
	c := NewMaterial(key, hmacKey)
	c.public, c.reference = bytes.Clone(m.public), bytes.Clone(m.reference)
	return c
}

// HasKey reports whether there is more than a public half.
func (m Material) HasKey() bool {
	key, _ := m.Reveal()
	return len(key) > 0 || m.reference != nil
}

// WithPrivate returns the material of a public half together with its private one, which p has.
func (m Material) WithPrivate(p Material) Material {
	key, _ := p.Reveal()
	_, hmacKey := m.Reveal()
	return NewKeyPair(key, m.public, hmacKey)
}
