// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// KeyType names the type of a key that lives on a token, in Transit's words.
type KeyType string

// The types of resident keys.
const (
	AES256GCM96 KeyType = "aes256-gcm96"
	RSA2048     KeyType = "rsa-2048"
	RSA3072     KeyType = "rsa-3072"
	RSA4096     KeyType = "rsa-4096"
	ECDSAP256   KeyType = "ecdsa-p256"
	ECDSAP384   KeyType = "ecdsa-p384"
	ECDSAP521   KeyType = "ecdsa-p521"
	Ed25519     KeyType = "ed25519"
	HMAC        KeyType = "hmac"
)

// The sizes in bytes that keys of type hmac may have.
const (
	minMACKey = 32
	maxMACKey = 512
)

// kind is what a type of resident keys asks of a token.
type kind struct {
	keyType    uint // CKA_KEY_TYPE
	generation cryptoki.MechanismType
	uses       []cryptoki.MechanismType // that the token has to have
	bits       uint                     // of an RSA key, and of a curve of ECDSA
	curve      elliptic.Curve
	params     []byte // CKA_EC_PARAMS: the curve by its object identifier, in DER
}

func rsaKind(bits uint) kind {
	return kind{
		keyType: cryptoki.KeyRSA, generation: cryptoki.RSAPKCSKeyPairGen, bits: bits,
		uses: []cryptoki.MechanismType{cryptoki.RSAPKCS, cryptoki.RSAPKCSPSS, cryptoki.RSAPKCSOAEP},
	}
}

func ecKind(curve elliptic.Curve, params ...byte) kind {
	return kind{
		keyType: cryptoki.KeyEC, generation: cryptoki.ECKeyPairGen, uses: []cryptoki.MechanismType{cryptoki.ECDSA},
		bits: uint(curve.Params().BitSize), curve: curve, params: params,
	}
}

// kinds is the list of types of resident keys. Object identifiers of curves are those of RFC 5480 and RFC 8410.
var kinds = map[KeyType]kind{
	AES256GCM96: {keyType: cryptoki.KeyAES, generation: cryptoki.AESKeyGen, uses: []cryptoki.MechanismType{cryptoki.AESGCM}},
	RSA2048:     rsaKind(2048),
	RSA3072:     rsaKind(3072),
	RSA4096:     rsaKind(4096),
	ECDSAP256:   ecKind(elliptic.P256(), 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07),
	ECDSAP384:   ecKind(elliptic.P384(), 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22),
	ECDSAP521:   ecKind(elliptic.P521(), 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x23),
	Ed25519: {
		keyType: cryptoki.KeyECEdwards, generation: cryptoki.ECEdwardsKeyPairGen, uses: []cryptoki.MechanismType{cryptoki.EDDSA},
		params: []byte{0x06, 0x03, 0x2B, 0x65, 0x70},
	},
	HMAC: {keyType: cryptoki.KeyGenericSecret, generation: cryptoki.GenericSecretGen, uses: []cryptoki.MechanismType{cryptoki.SHA256HMAC}},
}

// isPair reports a type whose keys have a public half.
func (k kind) isPair() bool { return k.bits > 0 || k.params != nil }

// CheckKey refuses a key that the token cannot make, or not use, by what it says of its mechanisms. The error matches
// [ErrUnsupported], and names the type and the mechanism. Nothing is made.
func CheckKey(ctx context.Context, t Token, spec KeySpec) error {
	if err := spec.check(); err != nil {
		return err
	}
	k := kinds[spec.Type]
	has, err := t.Mechanisms(ctx)
	if err != nil {
		return fmt.Errorf("list mechanisms: %w", err)
	}
	for _, m := range append([]cryptoki.MechanismType{k.generation}, k.uses...) {
		info, err := t.MechanismInfo(ctx, m)
		missing := !slices.Contains(has, m) || errors.Is(err, cryptoki.ErrMechanismInvalid)
		switch {
		case missing:
			return fmt.Errorf("%w: keys of type %s need %v, which the token does not have", ErrUnsupported, spec.Type, m)
		case err != nil:
			return fmt.Errorf("ask about %v: %w", m, err)
		case k.bits > 0 && info.MaxKeySize > 0 && (k.bits < info.MinKeySize || k.bits > info.MaxKeySize):
			return fmt.Errorf("%w: keys of type %s need %v with %d bits, and the token takes from %d to %d", ErrUnsupported, spec.Type, m, k.bits,
				info.MinKeySize, info.MaxKeySize)
		}
	}
	return nil
}

// templates are what the key of a description is made with: one, or those of the public and the private half.
func (k ResidentKey) templates() []cryptoki.Template {
	of := kinds[k.Type]
	if !of.isPair() {
		secret := append(kept(cryptoki.ClassSecretKey, of.keyType, k.Label, k.CKAID), secretUse(cryptoki.AttrSign)...)
		return []cryptoki.Template{append(secret,
			cryptoki.Attribute{Type: cryptoki.AttrVerify, Value: true}, cryptoki.Attribute{Type: cryptoki.AttrValueLen, Value: uint(k.Size)})}
	}
	isRSA := of.keyType == cryptoki.KeyRSA
	public := append(named(cryptoki.ClassPublicKey, k.Label, k.CKAID),
		cryptoki.Attribute{Type: cryptoki.AttrKeyType, Value: of.keyType},
		cryptoki.Attribute{Type: cryptoki.AttrToken, Value: true},
		cryptoki.Attribute{Type: cryptoki.AttrEncrypt, Value: isRSA},
		cryptoki.Attribute{Type: cryptoki.AttrVerify, Value: true},
		cryptoki.Attribute{Type: cryptoki.AttrWrap, Value: false})
	if isRSA {
		public = append(public,
			cryptoki.Attribute{Type: cryptoki.AttrModulusBits, Value: of.bits},
			cryptoki.Attribute{Type: cryptoki.AttrPublicExponent, Value: []byte{1, 0, 1}})
	} else {
		public = append(public, cryptoki.Attribute{Type: cryptoki.AttrECParams, Value: of.params})
	}
	private := append(kept(cryptoki.ClassPrivateKey, of.keyType, k.Label, k.CKAID),
		cryptoki.Attribute{Type: cryptoki.AttrSign, Value: true},
		cryptoki.Attribute{Type: cryptoki.AttrDecrypt, Value: isRSA},
		cryptoki.Attribute{Type: cryptoki.AttrUnwrap, Value: false},
		cryptoki.Attribute{Type: cryptoki.AttrDerive, Value: false})
	return []cryptoki.Template{public, private}
}
