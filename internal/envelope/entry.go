// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"slices"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"
	"github.com/hashicorp/vault/sdk/helper/keysutil"
)

// Entry returns the material of a version as Transit stores it. Material that is not there is no error.
func (a Algorithm) Entry(m Material) (e keysutil.KeyEntry, err error) {
	key, hmacKey := m.Reveal()
	if !a.isAsymmetric() {
		return keysutil.KeyEntry{Key: bytes.Clone(key), HMACKey: bytes.Clone(hmacKey)}, nil
	}
	private, public, err := a.KeyPair(m)
	if err != nil {
		return e, err
	}
	e = entryOf(private, public, bytes.Clone(hmacKey))
	if curves[a] != nil || a.isLattice() {
		e.FormattedPublicKey, err = FormatPublic(m.public)
	}
	if e.RSAKey != nil {
		e.RSAPublicKey = nil
	}
	return e, err
}

// FromEntry returns the material of a version that Transit stores so, where it has the size; 0: where keys of the algorithm have it. It draws the HMAC key that Transit has not given every version
// yet. Nothing of the entry is trusted. The error is [ErrInput].
func (a Algorithm) FromEntry(e keysutil.KeyEntry, size int, rand io.Reader) (m Material, err error) {
	switch {
	case a == HMAC:
		return hmacFrom(e, size)
	case a.isCMAC(): // which has no other key
		e.HMACKey = nil
	case len(e.HMACKey) == 0:
		e.HMACKey = make([]byte, hmacKeySize)
		if err := fill(rand, e.HMACKey); err != nil {
			return m, err
		}
	case len(e.HMACKey) != hmacKeySize:
		return m, inputError(fmt.Sprintf("hmac_key of %d bytes, want %d", len(e.HMACKey), hmacKeySize))
	}
	if a.isAsymmetric() {
		return a.pairFrom(e)
	}
	if len(e.Key) == 0 || len(e.Key) != a.KeySize() {
		return m, inputError(fmt.Sprintf("key of %d bytes, %s takes %d", len(e.Key), a, a.KeySize()))
	}
	return NewMaterial(e.Key, e.HMACKey), nil
}

// hmacFrom reads a key for HMACs; size 0: of any length that such keys may have.
func hmacFrom(e keysutil.KeyEntry, size int) (m Material, err error) {
	switch length := len(e.Key); {
	case size != 0 && length != size:
		return m, inputError(fmt.Sprintf("key of %d bytes, key_size is %d", length, size))
	case length < minHMACSize || length > maxHMACSize:
		return m, inputError(fmt.Sprintf("key of %d bytes, must be from %d to %d", length, minHMACSize, maxHMACSize))
	}
	return NewMaterial(e.Key, e.Key), nil
}

// pairFrom reads the halves of a key, of which the private one may be missing.
func (a Algorithm) pairFrom(e keysutil.KeyEntry) (m Material, err error) {
	private, public, err := a.halvesFrom(e)
	if err != nil {
		return m, err
	}
	if private != nil {
		if m, err = KeyPairOf(private, e.HMACKey); err != nil {
			return m, errNotOfAlgorithm(a)
		}
	} else {
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return m, errNotOfAlgorithm(a)
		}
		m = NewKeyPair(nil, der, e.HMACKey)
	}
	if _, _, err := a.KeyPair(m); err != nil {
		return Material{}, errNotOfAlgorithm(a)
	}
	return m, nil
}

func errNotOfAlgorithm(a Algorithm) error {
	return inputError("the numbers are not those of a key of type " + string(a))
}

func (a Algorithm) halvesFrom(e keysutil.KeyEntry) (crypto.Signer, crypto.PublicKey, error) {
	switch {
	case a == Ed25519:
		return ed25519From(e)
	case a.isLattice():
		return a.latticeFrom(e)
	case curves[a] != nil:
		return a.ecdsaFrom(e)
	default:
		return a.rsaFrom(e)
	}
}

func ed25519From(e keysutil.KeyEntry) (crypto.Signer, crypto.PublicKey, error) {
	public, err := base64.StdEncoding.DecodeString(e.FormattedPublicKey)
	if err != nil || len(e.Key) == 0 && len(public) != ed25519.PublicKeySize {
		return nil, nil, errNotOfAlgorithm(Ed25519)
	}
	if len(e.Key) == 0 {
		return nil, ed25519.PublicKey(public), nil
	}
	if len(e.Key) != ed25519.PrivateKeySize {
		return nil, nil, errNotOfAlgorithm(Ed25519)
	}
	private := ed25519.NewKeyFromSeed(e.Key[:ed25519.SeedSize])
	if !bytes.Equal(private, e.Key) {
		return nil, nil, errNotOfAlgorithm(Ed25519)
	}
	return private, nil, nil
}

func (a Algorithm) ecdsaFrom(e keysutil.KeyEntry) (crypto.Signer, crypto.PublicKey, error) {
	if e.EC_X == nil || e.EC_Y == nil {
		return nil, nil, errNotOfAlgorithm(a)
	}
	public := &ecdsa.PublicKey{Curve: curves[a], X: e.EC_X, Y: e.EC_Y}
	if _, err := public.ECDH(); err != nil { // which is that the point is none of the curve
		return nil, nil, errNotOfAlgorithm(a)
	}
	if e.EC_D == nil {
		return nil, public, nil
	}
	private := &ecdsa.PrivateKey{PublicKey: *public, D: e.EC_D}
	if _, err := private.ECDH(); err != nil || e.EC_D.Sign() <= 0 {
		return nil, nil, errNotOfAlgorithm(a)
	}
	return private, nil, nil
}

func (a Algorithm) rsaFrom(e keysutil.KeyEntry) (crypto.Signer, crypto.PublicKey, error) {
	if e.RSAKey == nil {
		if e.RSAPublicKey == nil || e.RSAPublicKey.N == nil || e.RSAPublicKey.N.Sign() <= 0 || e.RSAPublicKey.E < 3 {
			return nil, nil, errNotOfAlgorithm(a)
		}
		return nil, e.RSAPublicKey, nil
	}
	k := e.RSAKey
	numbers := append(slices.Clone(k.Primes), k.N, k.D)
	isNone := func(n *big.Int) bool { return n == nil || n.Sign() <= 0 || n.BitLen() > moduli[a] }
	if len(k.Primes) < 2 || slices.ContainsFunc(numbers, isNone) || k.N.BitLen() != moduli[a] {
		return nil, nil, errNotOfAlgorithm(a)
	}
	private := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: k.N, E: k.E}, D: k.D, Primes: k.Primes} // what was computed is computed anew
	if err := private.Validate(); err != nil {
		return nil, nil, errNotOfAlgorithm(a)
	}
	private.Precompute()
	return private, nil, nil
}

// latticeFrom reads a key of ML-DSA, which no Transit writes: its seed, or its public half in PEM.
func (a Algorithm) latticeFrom(e keysutil.KeyEntry) (crypto.Signer, crypto.PublicKey, error) {
	if len(e.Key) > 0 {
		private, err := mldsa.NewPrivateKey(lattices[a], e.Key)
		if err != nil {
			return nil, nil, errNotOfAlgorithm(a)
		}
		return private, nil, nil
	}
	block, _ := pem.Decode([]byte(e.FormattedPublicKey))
	if block == nil {
		return nil, nil, errNotOfAlgorithm(a)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil || !a.Fits(public) {
		return nil, nil, errNotOfAlgorithm(a)
	}
	return nil, public, nil
}
