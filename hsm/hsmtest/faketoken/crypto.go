// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package faketoken

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what tokens know OAEP with
	"crypto/sha256"
	"slices"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

var mechanisms = []cryptoki.MechanismType{
	cryptoki.RSAPKCSKeyPairGen, cryptoki.RSAPKCSOAEP, cryptoki.SHA256HMAC, cryptoki.GenericSecretGen, cryptoki.AESKeyGen,
	cryptoki.AESCBCPad, cryptoki.AESGCM, cryptoki.RSAPKCS, cryptoki.RSAPKCSPSS, cryptoki.ECKeyPairGen, cryptoki.ECDSA,
	cryptoki.ECEdwardsKeyPairGen, cryptoki.EDDSA, cryptoki.SHA1HMAC, cryptoki.SHA224HMAC, cryptoki.SHA384HMAC, cryptoki.SHA512HMAC,
}

const (
	lunaIV  = 16
	ownIV   = 12
	tagSize = 16
)

// operations are the functions of [cryptoki.Operation], and the attribute that permits each.
var operations = map[cryptoki.Operation]struct {
	f      Func
	permit cryptoki.AttributeType
}{
	cryptoki.Encrypt: {Encrypt, cryptoki.AttrEncrypt},
	cryptoki.Decrypt: {Decrypt, cryptoki.AttrDecrypt},
	cryptoki.Sign:    {Sign, cryptoki.AttrSign},
}

// Do implements [cryptoki.Session].
func (s *session) Do(op cryptoki.Operation, handle cryptoki.Object, m cryptoki.Mechanism, in []byte) (out []byte, err error) {
	does, known := operations[op]
	if !known {
		return nil, cryptoki.ErrFunctionNotSupported
	}
	err = s.call(does.f, func() error {
		o, err := s.object(handle)
		if err != nil {
			return err
		}
		if err := s.usable(m.Type); err != nil {
			return err
		}
		if !o.is(does.permit) || !o.allows(m.Type) {
			return cryptoki.ErrKeyFunctionNotPermitted
		}
		if m.Type == cryptoki.AESGCM && (m.GCM == nil || len(m.GCM.IV) == 0) {
			s.library.misused(string(does.f) + " with CKM_AES_GCM and no IV")
			return cryptoki.ErrMechanismParamInvalid
		}
		out, err = s.slot.device.do(op, o, m, in)
		return err
	})
	return out, err
}

func (o *object) allows(m cryptoki.MechanismType) bool {
	allowed, limited := o.attributes[cryptoki.AttrAllowedMechanisms]
	if !limited {
		return true
	}
	for one := range slices.Chunk(allowed, 8) {
		if bytes.Equal(one, encode(uint(m))) {
			return true
		}
	}
	return false
}

func (d *Device) do(op cryptoki.Operation, o *object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
	if !o.suits(op, m) {
		return nil, cryptoki.ErrKeyTypeInconsistent
	}
	switch {
	case m.Type == cryptoki.AESGCM && op == cryptoki.Encrypt:
		return d.sealGCM(o.secret, m.GCM, in)
	case m.Type == cryptoki.AESGCM:
		return d.openGCM(o.secret, m.GCM, in)
	case m.Type == cryptoki.AESCBCPad:
		return d.cbc(op, o.secret, m.IV, in)
	case m.Type == cryptoki.RSAPKCSOAEP:
		return d.oaep(op, o, m.OAEP, in)
	case o.signer != nil:
		return o.signed(op, m, in, d.tampered())
	}
	mac := hmac.New(macs[m.Type], o.secret)
	mac.Write(in)
	return mac.Sum(nil), nil
}

// suits tells whether a mechanism can do the operation with the key at all.
func (o *object) suits(op cryptoki.Operation, m cryptoki.Mechanism) bool {
	kind := o.number(cryptoki.AttrKeyType)
	isAES := kind == cryptoki.KeyAES
	if macs[m.Type] != nil {
		return !isAES && o.secret != nil && op == cryptoki.Sign
	}
	switch m.Type {
	case cryptoki.AESGCM, cryptoki.AESCBCPad:
		return isAES && op != cryptoki.Sign
	case cryptoki.RSAPKCSOAEP:
		return m.OAEP != nil && (op == cryptoki.Encrypt && o.public != nil || op == cryptoki.Decrypt && o.private != nil)
	}
	return o.suitsSignature(op, m, kind)
}

// suitsSignature is suits for what signs, and what CKM_RSA_PKCS does besides.
func (o *object) suitsSignature(op cryptoki.Operation, m cryptoki.Mechanism, kind uint) bool {
	switch m.Type {
	case cryptoki.RSAPKCS:
		return o.private != nil && op != cryptoki.Encrypt
	case cryptoki.RSAPKCSPSS:
		return o.private != nil && op == cryptoki.Sign && m.PSS != nil
	case cryptoki.ECDSA:
		return o.signer != nil && kind == cryptoki.KeyEC && op == cryptoki.Sign
	case cryptoki.EDDSA:
		return o.signer != nil && kind == cryptoki.KeyECEdwards && op == cryptoki.Sign
	}
	return false
}

func (d *Device) tampered() error { return orElse(d.config.Tampered, cryptoki.ErrEncryptedDataInvalid) }

func (d *Device) sealGCM(key []byte, p *cryptoki.GCM, in []byte) ([]byte, error) {
	iv, tail := bytes.Clone(p.IV), []byte(nil)
	switch d.config.GCM {
	case WritesIV, ConstantIV:
		if len(iv) < ownIV {
			return nil, cryptoki.ErrMechanismParamInvalid
		}
		iv = make([]byte, ownIV)
		if d.config.GCM == WritesIV {
			iv = d.random(ownIV)
		}
		copy(p.IV, iv)
	case AppendsIV:
		iv = d.random(lunaIV)
		tail = iv
	case CallerIV:
	}
	return append(gcm(key, len(iv)).Seal(nil, iv, in, p.AAD), tail...), nil
}

func (d *Device) openGCM(key []byte, p *cryptoki.GCM, in []byte) ([]byte, error) {
	if len(in) < tagSize {
		return nil, orElse(d.config.Tampered, cryptoki.ErrEncryptedDataLenRange)
	}
	out, err := gcm(key, len(p.IV)).Open(nil, p.IV, in, p.AAD)
	if err != nil {
		return nil, d.tampered()
	}
	return out, nil
}

// gcm never fails: a secret of type AES has a size of AES, and the IV is not empty.
func gcm(key []byte, iv int) cipher.AEAD {
	block, _ := aes.NewCipher(key)
	aead, _ := cipher.NewGCMWithNonceSize(block, iv)
	return aead
}

func (d *Device) cbc(op cryptoki.Operation, key, iv, in []byte) ([]byte, error) {
	if len(iv) != aes.BlockSize {
		return nil, cryptoki.ErrMechanismParamInvalid
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, cryptoki.ErrKeySizeRange
	}
	if op == cryptoki.Encrypt {
		pad := aes.BlockSize - len(in)%aes.BlockSize
		out := append(bytes.Clone(in), bytes.Repeat([]byte{byte(pad)}, pad)...)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
		return out, nil
	}
	if len(in) == 0 || len(in)%aes.BlockSize != 0 {
		return nil, orElse(d.config.Tampered, cryptoki.ErrEncryptedDataLenRange)
	}
	out := make([]byte, len(in))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, in)
	pad := int(out[len(out)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.HasSuffix(out, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, d.tampered()
	}
	return out[:len(out)-pad], nil
}

func (d *Device) oaep(op cryptoki.Operation, o *object, p *cryptoki.OAEP, in []byte) ([]byte, error) {
	newHash, id := sha256.New, crypto.SHA256
	if p.Hash == cryptoki.SHA1 {
		newHash, id = sha1.New, crypto.SHA1
	}
	if d.config.NoSHA2OAEP && p.Hash != cryptoki.SHA1 {
		return nil, cryptoki.ErrArgumentsBad
	}
	if op == cryptoki.Encrypt {
		out, err := rsa.EncryptOAEP(newHash(), rand.Reader, o.public, in, nil)
		if err != nil {
			return nil, cryptoki.ErrDataLenRange
		}
		return out, nil
	}
	out, err := o.private.Decrypt(nil, in, &rsa.OAEPOptions{Hash: id})
	if err != nil {
		return nil, d.tampered()
	}
	return out, nil
}
