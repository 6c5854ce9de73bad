// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// hashes are what a hash is to a token: that of a PSS signature, the mechanism of an HMAC, and its object identifier in the
// DigestInfo of a signature by PKCS #1 v1.5 (RFC 8017, appendix B.1).
var hashes = map[crypto.Hash]struct {
	pss cryptoki.HashType
	mac cryptoki.MechanismType
	oid asn1.ObjectIdentifier
}{
	crypto.SHA1:     {cryptoki.SHA1, cryptoki.SHA1HMAC, asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}},
	crypto.SHA224:   {cryptoki.SHA224, cryptoki.SHA224HMAC, nistHash(4)},
	crypto.SHA256:   {cryptoki.SHA256, cryptoki.SHA256HMAC, nistHash(1)},
	crypto.SHA384:   {cryptoki.SHA384, cryptoki.SHA384HMAC, nistHash(2)},
	crypto.SHA512:   {cryptoki.SHA512, cryptoki.SHA512HMAC, nistHash(3)},
	crypto.SHA3_224: {cryptoki.SHA3224, cryptoki.SHA3224HMAC, nistHash(7)},
	crypto.SHA3_256: {cryptoki.SHA3256, cryptoki.SHA3256HMAC, nistHash(8)},
	crypto.SHA3_384: {cryptoki.SHA3384, cryptoki.SHA3384HMAC, nistHash(9)},
	crypto.SHA3_512: {cryptoki.SHA3512, cryptoki.SHA3512HMAC, nistHash(10)},
}

func nistHash(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, n}
}

// macMechanisms are all those of HMACs.
func macMechanisms() (all []cryptoki.MechanismType) {
	for _, h := range hashes {
		all = append(all, h.mac)
	}
	return all
}

// mechanism returns how the token is to sign, and what it gets for a digest.
func (h *held) mechanism(digest []byte, options crypto.SignerOpts) (m cryptoki.Mechanism, input []byte, err error) {
	switch public := h.public.(type) {
	case ed25519.PublicKey:
		return cryptoki.Mechanism{Type: cryptoki.EDDSA}, digest, nil
	case *ecdsa.PublicKey: // what is longer than the order is cut off, as FIPS 186-5 has it; not every token does that itself
		size := (public.Params().N.BitLen() + 7) / 8
		return cryptoki.Mechanism{Type: cryptoki.ECDSA}, digest[:min(len(digest), size)], nil
	case *rsa.PublicKey:
		if pss, is := options.(*rsa.PSSOptions); is {
			m, err = pssMechanism(public, digest, pss)
			return m, digest, err
		}
		input, err = digestInfo(digest, options.HashFunc())
		return cryptoki.Mechanism{Type: cryptoki.RSAPKCS}, input, err
	}
	return m, nil, fmt.Errorf("%w: keys of type %s do not sign", ErrUnsupported, h.key.Type)
}

func pssMechanism(public *rsa.PublicKey, digest []byte, options *rsa.PSSOptions) (m cryptoki.Mechanism, err error) {
	of, known := hashes[options.Hash]
	if !known || len(digest) != options.Hash.Size() {
		return m, fmt.Errorf("%w: %d bytes are no digest by %v", ErrUnsupported, len(digest), options.Hash)
	}
	salt := options.SaltLength
	switch salt {
	case rsa.PSSSaltLengthEqualsHash:
		salt = options.Hash.Size()
	case rsa.PSSSaltLengthAuto: // as long as it can be
		salt = (public.N.BitLen()-1+7)/8 - 2 - options.Hash.Size()
	}
	if salt < 0 {
		return m, rsa.ErrMessageTooLong
	}
	return cryptoki.Mechanism{Type: cryptoki.RSAPKCSPSS, PSS: &cryptoki.PSS{Hash: of.pss, Salt: salt}}, nil
}

// digestInfo is what a signature by PKCS #1 v1.5 is of (RFC 8017, section 9.2). Without a hash it is the digest alone.
func digestInfo(digest []byte, hash crypto.Hash) ([]byte, error) {
	if hash == 0 {
		return digest, nil
	}
	of, known := hashes[hash]
	if !known || len(digest) != hash.Size() {
		return nil, fmt.Errorf("%w: %d bytes are no digest by %v", ErrUnsupported, len(digest), hash)
	}
	return asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}{pkix.AlgorithmIdentifier{Algorithm: of.oid, Parameters: asn1.NullRawValue}, digest})
}

// encode returns a signature of the token in the form of [crypto.Signer]. Those of ECDSA are r and s in a row (PKCS#11 section 6.3.1).
func (h *held) encode(raw []byte) ([]byte, error) {
	public, is := h.public.(*ecdsa.PublicKey)
	if !is {
		return raw, nil
	}
	size := (public.Params().N.BitLen() + 7) / 8
	if len(raw) != 2*size {
		return nil, fmt.Errorf("%w: the token signs in %d bytes, want %d", ErrUnsupported, len(raw), 2*size)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:size]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[size:]))
	})
	return b.Bytes()
}

func (h *held) verifies(digest, signature []byte, options crypto.SignerOpts) bool {
	switch public := h.public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, digest, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, digest, signature)
	case *rsa.PublicKey:
		if pss, is := options.(*rsa.PSSOptions); is {
			return rsa.VerifyPSS(public, pss.Hash, digest, signature, pss) == nil
		}
		return rsa.VerifyPKCS1v15(public, options.HashFunc(), digest, signature) == nil
	}
	return false
}

// errPublic reports a public half that is none of its type.
var errPublic = fmt.Errorf("%w: the public half is none of its type", ErrKEKMismatch)

// parsePublic reads a public half in PKIX DER.
func (k kind) parsePublic(der []byte) (crypto.PublicKey, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errPublic
	}
	fits := false
	switch public := public.(type) {
	case ed25519.PublicKey:
		fits = k.keyType == cryptoki.KeyECEdwards
	case *ecdsa.PublicKey:
		fits = k.curve != nil && public.Curve == k.curve
	case *rsa.PublicKey:
		fits = k.keyType == cryptoki.KeyRSA && public.N.BitLen() == int(k.bits)
	}
	if !fits {
		return nil, errPublic
	}
	return public, nil
}

// readPublic reads the public half off the token, in PKIX DER.
func (k kind) readPublic(s cryptoki.Session, find cryptoki.Template) ([]byte, error) {
	o, err := findOne(s, find)
	if err != nil {
		return nil, err
	}
	var public crypto.PublicKey
	if k.keyType == cryptoki.KeyRSA {
		public, err = publicKey(s, o, find)
	} else {
		public, err = k.readPoint(s, o)
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, errPublic
	}
	_, err = k.parsePublic(der)
	return der, err
}

// readPoint reads CKA_EC_POINT: a point in an OCTET STRING (PKCS#11 section 6.3.3), or bare, as some tokens have it. For Ed25519 there
// are tokens that have a BIT STRING.
func (k kind) readPoint(s cryptoki.Session, o cryptoki.Object) (crypto.PublicKey, error) {
	values, err := s.Attributes(o, cryptoki.AttrECPoint)
	if err != nil {
		return nil, err
	}
	if len(values) != 1 || len(values[0]) == 0 {
		return nil, errors.New("the token does not tell the public half (CKA_EC_POINT)")
	}
	for _, point := range points(values[0]) {
		if k.curve == nil && len(point) == ed25519.PublicKeySize {
			return ed25519.PublicKey(point), nil
		}
		if k.curve != nil {
			if public, err := ecdsa.ParseUncompressedPublicKey(k.curve, point); err == nil {
				return public, nil
			}
		}
	}
	return nil, errPublic
}

// points are what an encoded point may be.
func points(encoded []byte) (list [][]byte) {
	var octets []byte
	if rest, err := asn1.Unmarshal(encoded, &octets); err == nil && len(rest) == 0 {
		list = append(list, octets)
	}
	var bits asn1.BitString
	if rest, err := asn1.Unmarshal(encoded, &bits); err == nil && len(rest) == 0 {
		list = append(list, bits.Bytes)
	}
	return append(list, encoded)
}
