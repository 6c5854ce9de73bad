// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"
	"github.com/go-jose/go-jose/v4"
)

// WebKey is a public half as RFC 7517 has it.
type WebKey struct {
	Curve    string `json:"crv,omitempty"`
	Lattice  string `json:"pub,omitempty"` // of ML-DSA
	Exponent string `json:"e,omitempty"`
	Type     string `json:"kty"`
	Modulus  string `json:"n,omitempty"`
	X        string `json:"x,omitempty"`
	Y        string `json:"y,omitempty"`

	ID        string `json:"kid,omitempty"` // the thumbprint of RFC 7638 with SHA-256
	Algorithm string `json:"alg,omitempty"` // none for RSA, where signer and verifier choose one of several; of ML-DSA a part of the key
	Use       string `json:"use,omitempty"` // sig
}

// ecAlgorithms are those of RFC 7518, section 3.4, by the curve.
var ecAlgorithms = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}

// latticeType is the type of keys whose algorithm is a part of them (draft-ietf-cose-dilithium).
const latticeType = "AKP"

// latticeWebKey returns a public half of ML-DSA, which go-jose does not know. Its thumbprint is of the members alg, kty and pub.
func latticeWebKey(key *mldsa.PublicKey) WebKey {
	w := WebKey{Type: latticeType, Algorithm: key.Parameters().String(), Lattice: base64.RawURLEncoding.EncodeToString(key.Bytes())}
	sum := sha256.Sum256([]byte(`{"alg":"` + w.Algorithm + `","kty":"` + w.Type + `","pub":"` + w.Lattice + `"}`))
	w.ID, w.Use = base64.RawURLEncoding.EncodeToString(sum[:]), "sig"
	return w
}

// WebKeyOf returns a public half, in PKIX DER, as a JSON Web Key.
func WebKeyOf(public []byte) (w WebKey, err error) {
	key, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return w, fmt.Errorf("%w: public half of a version: %w", ErrInternal, err)
	}
	if key, ok := key.(*mldsa.PublicKey); ok {
		return latticeWebKey(key), nil
	}
	j := jose.JSONWebKey{Key: key, Use: "sig"}
	switch key := key.(type) {
	case ed25519.PublicKey:
		j.Algorithm = string(jose.EdDSA)
	case *ecdsa.PublicKey:
		j.Algorithm = ecAlgorithms[key.Curve.Params().Name]
	}
	thumbprint, err := j.Thumbprint(crypto.SHA256)
	if err != nil {
		return w, fmt.Errorf("%w: public half of a version: %w", ErrInternal, err)
	}
	j.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	text, err := j.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(text, &w)
	}
	if err != nil {
		return w, fmt.Errorf("%w: public half of a version: %w", ErrInternal, err)
	}
	return w, nil
}
