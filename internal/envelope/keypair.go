// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"
	"github.com/hashicorp/vault/sdk/helper/keysutil"
)

// curves are those of the algorithms with ECDSA.
var curves = map[Algorithm]elliptic.Curve{ECDSAP256: elliptic.P256(), ECDSAP384: elliptic.P384(), ECDSAP521: elliptic.P521()}

// moduli are the lengths in bits of RSA keys.
var moduli = map[Algorithm]int{RSA2048: 2048, RSA3072: 3072, RSA4096: 4096}

// isAsymmetric reports whether keys of a have a public half.
func (a Algorithm) isAsymmetric() bool {
	return a == Ed25519 || curves[a] != nil || moduli[a] != 0 || a.isLattice()
}

// generateKeyPair draws a private key. The library of Go draws those of ECDSA and RSA from its own source, whatever rand is.
func generateKeyPair(alg Algorithm, rand io.Reader) (m Material, err error) {
	hmacKey := make([]byte, hmacKeySize)
	defer clear(hmacKey)
	if err := fill(rand, hmacKey); err != nil {
		return m, fmt.Errorf("generate key: %w", err)
	}
	private, err := generatePrivate(alg, rand)
	if err != nil {
		return m, fmt.Errorf("%w: generate key: %w", ErrInternal, err)
	}
	return KeyPairOf(private, hmacKey)
}

func generatePrivate(alg Algorithm, rand io.Reader) (crypto.Signer, error) {
	switch {
	case alg == Ed25519:
		seed := make([]byte, ed25519.SeedSize)
		defer clear(seed)
		if err := fill(rand, seed); err != nil {
			return nil, err
		}
		return ed25519.NewKeyFromSeed(seed), nil
	case alg.isLattice():
		return generateLattice(alg, rand)
	case curves[alg] != nil:
		return ecdsa.GenerateKey(curves[alg], rand)
	default:
		return rsa.GenerateKey(rand, moduli[alg])
	}
}

// KeyPairOf returns the material of a private key.
func KeyPairOf(private crypto.Signer, hmacKey []byte) (m Material, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return m, fmt.Errorf("%w: encode private key: %w", ErrInternal, err)
	}
	defer clear(der)
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return m, fmt.Errorf("%w: encode public key: %w", ErrInternal, err)
	}
	return NewKeyPair(der, public, hmacKey), nil
}

// errOtherKeyPair reports stored halves that are no pair, or of another algorithm.
var errOtherKeyPair = internalError("new cipher: the private and the public half are not those of a key of this algorithm")

// KeyPair returns the halves of a key of that algorithm. The private one is nil where the material has none.
func (a Algorithm) KeyPair(m Material) (private crypto.Signer, public crypto.PublicKey, err error) {
	if public, err = x509.ParsePKIXPublicKey(m.public); err != nil || !a.Fits(public) {
		return nil, nil, errOtherKeyPair
	}
	key, _ := m.Reveal()
	if len(key) == 0 {
		return nil, public, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, errOtherKeyPair
	}
	private, ok := parsed.(crypto.Signer)
	if !ok || !public.(interface{ Equal(crypto.PublicKey) bool }).Equal(private.Public()) {
		return nil, nil, errOtherKeyPair
	}
	return private, public, nil
}

// Fits reports whether a public key is one of the algorithm.
func (a Algorithm) Fits(public crypto.PublicKey) bool {
	switch public := public.(type) {
	case ed25519.PublicKey:
		return a == Ed25519
	case *ecdsa.PublicKey:
		return public.Curve == curves[a]
	case *rsa.PublicKey:
		return public.N.BitLen() == moduli[a]
	case *mldsa.PublicKey:
		return public.Parameters() == lattices[a]
	default:
		return false
	}
}

// FormatPublic returns a public half as Transit shows it: PEM, and base64 for Ed25519.
func FormatPublic(public []byte) (string, error) {
	key, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("%w: public half of a version: %w", ErrInternal, err)
	}
	if key, ok := key.(ed25519.PublicKey); ok {
		return base64.StdEncoding.EncodeToString(key), nil
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), nil
}

// entryOf is a version with a public half as keysutil has it.
func entryOf(private crypto.Signer, public crypto.PublicKey, hmacKey []byte) (e keysutil.KeyEntry) {
	e.HMACKey = hmacKey
	switch public := public.(type) {
	case ed25519.PublicKey:
		e.FormattedPublicKey = base64.StdEncoding.EncodeToString(public)
		if private != nil {
			e.Key = private.(ed25519.PrivateKey) //nolint:forcetypeassert // KeyPair saw that they are a pair
		}
	case *ecdsa.PublicKey:
		e.EC_X, e.EC_Y = public.X, public.Y
		if private != nil {
			e.EC_D = private.(*ecdsa.PrivateKey).D //nolint:forcetypeassert // as above
		}
	case *rsa.PublicKey:
		e.RSAPublicKey = public
		if private != nil {
			e.RSAKey = private.(*rsa.PrivateKey) //nolint:forcetypeassert // as above
		}
	case *mldsa.PublicKey: // which keysutil has not
		if private != nil {
			e.Key = private.(*mldsa.PrivateKey).Bytes() //nolint:forcetypeassert // as above
		}
	}
	return e
}
