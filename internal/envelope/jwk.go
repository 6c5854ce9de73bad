// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// JWK is a public half as RFC 7517 has it. The order of the fields from crv to y is that of RFC 7638, section 3.2.
type JWK struct {
	Curve    string `json:"crv,omitempty"`
	Exponent string `json:"e,omitempty"`
	Type     string `json:"kty"`
	Modulus  string `json:"n,omitempty"`
	X        string `json:"x,omitempty"`
	Y        string `json:"y,omitempty"`

	ID        string `json:"kid,omitempty"` // the thumbprint of RFC 7638 with SHA-256
	Algorithm string `json:"alg,omitempty"` // none for RSA, where signer and verifier choose one of several
	Use       string `json:"use,omitempty"` // sig
}

// ecAlgorithms are those of RFC 7518, section 3.4, by the curve.
var ecAlgorithms = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}

// JWKOf returns a public half, in PKIX DER, as a JSON Web Key.
func JWKOf(public []byte) (JWK, error) {
	key, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return JWK{}, fmt.Errorf("%w: public half of a version: %w", ErrInternal, err)
	}
	var j JWK
	switch key := key.(type) {
	case ed25519.PublicKey: // RFC 8037, section 2
		j = JWK{Type: "OKP", Curve: "Ed25519", X: base64URL(key), Algorithm: "EdDSA"}
	case *ecdsa.PublicKey: // RFC 7518, section 6.2.1: coordinates have the length of the field
		curve, size := key.Curve.Params().Name, (key.Curve.Params().BitSize+7)/8
		j = JWK{Type: "EC", Curve: curve, X: base64URL(key.X.FillBytes(make([]byte, size))), Y: base64URL(key.Y.FillBytes(make([]byte, size))), Algorithm: ecAlgorithms[curve]}
	case *rsa.PublicKey: // RFC 7518, section 6.3.1
		j = JWK{Type: "RSA", Modulus: base64URL(key.N.Bytes()), Exponent: base64URL(big.NewInt(int64(key.E)).Bytes())}
	default:
		return JWK{}, internalError(fmt.Sprintf("public half of a version: %T", key))
	}
	if j.ID, err = j.thumbprint(); err != nil {
		return JWK{}, err
	}
	j.Use = "sig"
	return j, nil
}

// thumbprint is RFC 7638 with SHA-256: of the required members alone, in the order of their names.
func (j JWK) thumbprint() (string, error) {
	j.ID, j.Algorithm, j.Use = "", "", ""
	text, err := json.Marshal(j)
	if err != nil {
		return "", fmt.Errorf("%w: thumbprint: %w", ErrInternal, err)
	}
	sum := sha256.Sum256(text)
	return base64URL(sum[:]), nil
}

func base64URL(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
