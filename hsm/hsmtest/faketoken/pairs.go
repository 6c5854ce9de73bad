// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package faketoken

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // a hash of HMACs
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/hex"
	"hash"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

var macs = map[cryptoki.MechanismType]func() hash.Hash{
	cryptoki.SHA1HMAC: sha1.New, cryptoki.SHA224HMAC: sha256.New224, cryptoki.SHA256HMAC: sha256.New, cryptoki.SHA384HMAC: sha512.New384,
	cryptoki.SHA512HMAC: sha512.New,
}

var pssHashes = map[cryptoki.HashType]crypto.Hash{
	cryptoki.SHA1: crypto.SHA1, cryptoki.SHA224: crypto.SHA224, cryptoki.SHA256: crypto.SHA256, cryptoki.SHA384: crypto.SHA384,
	cryptoki.SHA512: crypto.SHA512,
}

// curves are what CKA_EC_PARAMS names, in hex.
var curves = map[string]elliptic.Curve{
	"06082a8648ce3d030107": elliptic.P256(), "06052b81040022": elliptic.P384(), "06052b81040023": elliptic.P521(),
}

const edwards25519 = "06032b6570"

// signed signs, or decrypts by PKCS #1 v1.5; tampered is the answer to what does not open.
func (o *object) signed(op cryptoki.Operation, m cryptoki.Mechanism, in []byte, tampered error) ([]byte, error) {
	switch key := o.signer.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(key, in), nil
	case *ecdsa.PrivateKey:
		return signedByCurve(key, in)
	}
	switch {
	case op == cryptoki.Decrypt:
		return orError(tampered)(rsa.DecryptPKCS1v15(nil, o.private, in))
	case m.Type == cryptoki.RSAPKCS:
		return orError(cryptoki.ErrDataLenRange)(rsa.SignPKCS1v15(nil, o.private, 0, in))
	}
	hash, known := pssHashes[m.PSS.Hash]
	if !known || m.PSS.Salt <= 0 { // Go takes 0 for something else
		return nil, cryptoki.ErrMechanismParamInvalid
	}
	return orError(cryptoki.ErrDataLenRange)(rsa.SignPSS(rand.Reader, o.private, hash, in, &rsa.PSSOptions{SaltLength: m.PSS.Salt}))
}

// orError answers rv in place of an error of Go's library.
func orError(rv error) func(out []byte, err error) ([]byte, error) {
	return func(out []byte, err error) ([]byte, error) {
		if err != nil {
			return nil, rv
		}
		return out, nil
	}
}

func signedByCurve(key *ecdsa.PrivateKey, in []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, key, in)
	if err != nil || len(in) == 0 {
		return nil, cryptoki.ErrDataLenRange
	}
	size := (key.Params().N.BitLen() + 7) / 8
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), nil
}

// generateCurve makes a pair on a curve.
func generateCurve(d *Device, kind uint, templates []cryptoki.Template) ([]*object, error) {
	if len(templates) != 2 {
		return nil, cryptoki.ErrArgumentsBad
	}
	public, err := d.newObject(cryptoki.ClassPublicKey, kind, templates[0])
	if err != nil {
		return nil, err
	}
	private, err := d.newObject(cryptoki.ClassPrivateKey, kind, templates[1])
	if err != nil {
		return nil, err
	}
	params := hex.EncodeToString(public.attributes[cryptoki.AttrECParams])
	curve := curves[params]
	var point []byte
	switch {
	case kind == cryptoki.KeyECEdwards && params == edwards25519:
		seed := d.random(ed25519.SeedSize)
		key := ed25519.NewKeyFromSeed(seed)
		private.signer, point = key, bytes.Clone(key[ed25519.SeedSize:])
	case kind == cryptoki.KeyEC && curve != nil:
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return nil, cryptoki.ErrFunctionFailed
		}
		if point, err = key.PublicKey.Bytes(); err != nil {
			return nil, cryptoki.ErrFunctionFailed
		}
		private.signer = key
	default:
		return nil, cryptoki.ErrAttributeValueInvalid
	}
	encoded, err := asn1.Marshal(point)
	if err != nil {
		return nil, cryptoki.ErrFunctionFailed
	}
	private.attributes[cryptoki.AttrECParams] = public.attributes[cryptoki.AttrECParams]
	public.attributes[cryptoki.AttrECPoint] = encoded
	return []*object{public, private}, nil
}
