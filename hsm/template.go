// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"errors"
	"slices"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// part is an object of a key, or the two of a key pair.
type part struct {
	find      cryptoki.Template // the object that cannot be made again
	mechanism cryptoki.MechanismType
	templates []cryptoki.Template
	allowed   []cryptoki.MechanismType // what the last of the templates is for
}

// parts returns what has to be made for a key, the key that decrypts first.
func (k KEK) parts() []part {
	shape := shapes[k.Suite]
	templates := []cryptoki.Template{aesKey(k.Label, k.CKAID)}
	if k.Suite == SuiteOAEP {
		templates = rsaKeys(k.Label, k.CKAID, k.RSABits)
	}
	parts := []part{{k.key(), shape.generation, templates, []cryptoki.MechanismType{shape.mechanism}}}
	if shape.mac {
		mac := []cryptoki.Template{macKey(k.MACLabel, k.MACID)}
		parts = append(parts, part{k.macKey(), cryptoki.GenericSecretGen, mac, []cryptoki.MechanismType{cryptoki.SHA256HMAC}})
	}
	return parts
}

// aesKey encrypts and decrypts and does nothing else. A key that wraps too would let whoever uses the token wrap another
// key with it, and decrypt what came out.
func aesKey(label string, id []byte) cryptoki.Template {
	return append(kept(cryptoki.ClassSecretKey, cryptoki.KeyAES, label, id),
		append(secretUse(cryptoki.AttrEncrypt, cryptoki.AttrDecrypt), cryptoki.Attribute{Type: cryptoki.AttrValueLen, Value: uint(kekSize)})...)
}

// macKey makes MACs (CKA_SIGN) and does nothing else.
func macKey(label string, id []byte) cryptoki.Template {
	return append(kept(cryptoki.ClassSecretKey, cryptoki.KeyGenericSecret, label, id),
		append(secretUse(cryptoki.AttrSign), cryptoki.Attribute{Type: cryptoki.AttrValueLen, Value: uint(kekSize)})...)
}

// rsaKeys are the public and the private key of a pair that decrypts and does nothing else.
func rsaKeys(label string, id []byte, bits int) []cryptoki.Template {
	public := append(named(cryptoki.ClassPublicKey, label, id),
		cryptoki.Attribute{Type: cryptoki.AttrKeyType, Value: cryptoki.KeyRSA},
		cryptoki.Attribute{Type: cryptoki.AttrToken, Value: true},
		cryptoki.Attribute{Type: cryptoki.AttrModulusBits, Value: uint(bits)},
		cryptoki.Attribute{Type: cryptoki.AttrPublicExponent, Value: []byte{1, 0, 1}},
		cryptoki.Attribute{Type: cryptoki.AttrEncrypt, Value: true},
		cryptoki.Attribute{Type: cryptoki.AttrVerify, Value: false},
		cryptoki.Attribute{Type: cryptoki.AttrWrap, Value: false})
	private := append(kept(cryptoki.ClassPrivateKey, cryptoki.KeyRSA, label, id),
		cryptoki.Attribute{Type: cryptoki.AttrDecrypt, Value: true},
		cryptoki.Attribute{Type: cryptoki.AttrSign, Value: false},
		cryptoki.Attribute{Type: cryptoki.AttrUnwrap, Value: false},
		cryptoki.Attribute{Type: cryptoki.AttrDerive, Value: false})
	return []cryptoki.Template{public, private}
}

// kept are the attributes of a key that stays on the token, for good and as it is.
func kept(class, keyType uint, label string, id []byte) cryptoki.Template {
	return append(named(class, label, id),
		cryptoki.Attribute{Type: cryptoki.AttrKeyType, Value: keyType},
		cryptoki.Attribute{Type: cryptoki.AttrToken, Value: true},
		cryptoki.Attribute{Type: cryptoki.AttrPrivate, Value: true},
		cryptoki.Attribute{Type: cryptoki.AttrSensitive, Value: true},
		cryptoki.Attribute{Type: cryptoki.AttrExtractable, Value: false},
		cryptoki.Attribute{Type: cryptoki.AttrModifiable, Value: false})
}

// secretUse says what a secret key may do; it may not do anything else.
func secretUse(may ...cryptoki.AttributeType) (t cryptoki.Template) {
	for _, use := range []cryptoki.AttributeType{
		cryptoki.AttrEncrypt, cryptoki.AttrDecrypt, cryptoki.AttrSign, cryptoki.AttrWrap, cryptoki.AttrUnwrap, cryptoki.AttrDerive,
	} {
		t = append(t, cryptoki.Attribute{Type: use, Value: slices.Contains(may, use)})
	}
	return t
}

// limited returns the templates with CKA_ALLOWED_MECHANISMS, which not every token knows.
func (p part) limited() []cryptoki.Template {
	templates := slices.Clone(p.templates)
	last := len(templates) - 1
	templates[last] = append(slices.Clone(templates[last]),
		cryptoki.Attribute{Type: cryptoki.AttrAllowedMechanisms, Value: p.allowed})
	return templates
}

// mayBeRefusal reports that the token may not take an attribute (PKCS#11 section 4.1.1). NSS answers CKR_GENERAL_ERROR to one
// that its database has no column for.
func mayBeRefusal(err error) bool {
	for _, e := range []cryptoki.Error{
		cryptoki.ErrAttributeTypeInvalid, cryptoki.ErrAttributeValueInvalid, cryptoki.ErrTemplateIncomplete,
		cryptoki.ErrTemplateInconsistent, cryptoki.ErrGeneralError, cryptoki.ErrFunctionFailed,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
