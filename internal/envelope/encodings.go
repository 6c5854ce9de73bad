// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"

	"filippo.io/mldsa"
	latticex509 "filippo.io/mldsa/x509"
	"github.com/go-jose/go-jose/v4"
)

// Encoding is a form in which a key leaves.
type Encoding string

// The encodings. Raw is base64 of the bytes of a key that is no more than bytes, such as the seed of ML-DSA; DER is base64, and of PKCS#8 and PKIX, as PEM is;
// JWK is RFC 7517, with RFC 8037 for Ed25519 and draft-ietf-cose-dilithium for ML-DSA.
const (
	AsInTransit Encoding = "" // base64 of symmetric and Ed25519 keys, PEM of others: PKCS#1 of RSA keys, SEC 1 of ECDSA keys
	Raw         Encoding = "raw"
	DER         Encoding = "der"
	PEM         Encoding = "pem"
	JWK         Encoding = "jwk"
)

// ParseEncoding returns the encoding of that name. The error is [ErrInput].
func ParseEncoding(name string) (Encoding, error) {
	switch e := Encoding(name); e {
	case AsInTransit, Raw, DER, PEM, JWK:
		return e, nil
	}
	return "", inputError(fmt.Sprintf("invalid format: %.64q: must be raw, der, pem or jwk, or empty", name))
}

func (e Encoding) unfit(what string) error {
	return inputError("format: " + strconv.Quote(string(e)) + ": is not for " + what)
}

// EncodeKey returns the key of m: a text, or a JSON object. The text is empty where the version has no private half. The error
// is [ErrInput] where keys of the algorithm have no such encoding.
func (a Algorithm) EncodeKey(m Material, e Encoding) (any, error) {
	key, _ := m.Reveal()
	if !a.isAsymmetric() {
		return encodeBytes(key, e)
	}
	private, _, err := a.KeyPair(m)
	if err != nil {
		return nil, err
	}
	if private == nil {
		return "", nil
	}
	return encodeHalf(half{private, key, "PRIVATE KEY"}, e)
}

// EncodeHMACKey returns the HMAC key of m.
func EncodeHMACKey(m Material, e Encoding) (any, error) {
	_, hmacKey := m.Reveal()
	return encodeBytes(hmacKey, e)
}

// EncodePublic returns a public half, which is given in PKIX DER.
func EncodePublic(public []byte, e Encoding) (any, error) {
	key, err := latticex509.ParsePKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("%w: public half of a version: %w", ErrInternal, err)
	}
	return encodeHalf(half{key, public, "PUBLIC KEY"}, e)
}

// EncodeChain returns a certificate chain, which is given in DER.
func EncodeChain(der [][]byte, e Encoding) (any, error) {
	if e != AsInTransit && e != PEM {
		return nil, e.unfit("certificate chains")
	}
	return FormatChain(der), nil
}

func encodeBytes(key []byte, e Encoding) (any, error) {
	switch e {
	case AsInTransit, Raw:
		return base64.StdEncoding.EncodeToString(key), nil
	case JWK:
		return encodeJWK(key)
	default:
		return nil, e.unfit("symmetric keys")
	}
}

// half is the private or the public half of a key.
type half struct {
	key   any    // crypto.Signer, or crypto.PublicKey
	der   []byte // PKCS#8, or PKIX
	block string // how PEM calls that
}

func encodeHalf(h half, e Encoding) (any, error) {
	switch e {
	case DER:
		return base64.StdEncoding.EncodeToString(h.der), nil
	case PEM:
		return h.pem(h.block, h.der), nil
	case JWK:
		return encodeJWK(h.key)
	}
	switch key := h.key.(type) {
	case ed25519.PrivateKey:
		return base64.StdEncoding.EncodeToString(key), nil
	case ed25519.PublicKey:
		return base64.StdEncoding.EncodeToString(key), nil
	}
	if e == Raw {
		return encodeRaw(h.key)
	}
	switch key := h.key.(type) {
	case *rsa.PrivateKey:
		return h.pem("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), nil
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("%w: encode private key: %w", ErrInternal, err)
		}
		return h.pem("EC PRIVATE KEY", der), nil
	default:
		return h.pem(h.block, h.der), nil
	}
}

// encodeRaw returns the bytes of a key of ML-DSA (FIPS 204): the seed, or the public half.
func encodeRaw(key any) (any, error) {
	switch key := key.(type) {
	case *mldsa.PrivateKey:
		return base64.StdEncoding.EncodeToString(key.Bytes()), nil
	case *mldsa.PublicKey:
		return base64.StdEncoding.EncodeToString(key.Bytes()), nil
	default:
		return nil, Raw.unfit("RSA and ECDSA keys")
	}
}

// pem ends with a line break for RSA keys alone, as in Transit.
func (h half) pem(block string, der []byte) string {
	text := string(pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der}))
	switch h.key.(type) {
	case *rsa.PrivateKey, *rsa.PublicKey:
		return text
	default:
		return strings.TrimSpace(text)
	}
}

// encodeJWK returns it as the object that it is in JSON.
func encodeJWK(key any) (any, error) {
	switch key := key.(type) {
	case *mldsa.PrivateKey:
		w := latticeWebKey(key.PublicKey())
		return map[string]any{"kty": w.Type, "alg": w.Algorithm, "pub": w.Lattice, "priv": base64.RawURLEncoding.EncodeToString(key.Bytes())}, nil
	case *mldsa.PublicKey:
		w := latticeWebKey(key)
		return map[string]any{"kty": w.Type, "alg": w.Algorithm, "pub": w.Lattice}, nil
	}
	text, err := jose.JSONWebKey{Key: key}.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("%w: encode a key as a JWK: %w", ErrInternal, err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("%w: encode a key as a JWK: %w", ErrInternal, err)
	}
	return object, nil
}
