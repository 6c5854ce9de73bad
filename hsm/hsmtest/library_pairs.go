// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsmtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// pair makes a pair that signs and does nothing else, and never leaves the token but for its public half.
func (c *conversation) pair(t *testing.T, generation cryptoki.MechanismType, keyType uint, public ...cryptoki.Attribute) []cryptoki.Object {
	t.Helper()
	both := cryptoki.Template{
		{Type: cryptoki.AttrKeyType, Value: keyType},
		{Type: cryptoki.AttrLabel, Value: "pair"},
		{Type: cryptoki.AttrID, Value: identifier()},
		{Type: cryptoki.AttrToken, Value: true},
	}
	private := append(slices.Clone(both), cryptoki.Template{
		{Type: cryptoki.AttrClass, Value: cryptoki.ClassPrivateKey},
		{Type: cryptoki.AttrPrivate, Value: true},
		{Type: cryptoki.AttrSensitive, Value: true},
		{Type: cryptoki.AttrExtractable, Value: false},
		{Type: cryptoki.AttrModifiable, Value: false},
		{Type: cryptoki.AttrSign, Value: true},
		{Type: cryptoki.AttrDecrypt, Value: false},
		{Type: cryptoki.AttrUnwrap, Value: false},
		{Type: cryptoki.AttrDerive, Value: false},
	}...)
	template := append(append(slices.Clone(both), cryptoki.Template{
		{Type: cryptoki.AttrClass, Value: cryptoki.ClassPublicKey},
		{Type: cryptoki.AttrVerify, Value: true},
	}...), public...)
	made, err := c.session(t).Generate(cryptoki.Mechanism{Type: generation}, template, private)
	require.NoError(t, err)
	require.Len(t, made, 2)
	values, err := c.session(t).Attributes(made[1], cryptoki.AttrSensitive, cryptoki.AttrExtractable, cryptoki.AttrModifiable, cryptoki.AttrSign,
		cryptoki.AttrDecrypt, cryptoki.AttrUnwrap, cryptoki.AttrDerive)
	require.NoError(t, err)
	yes, no := []byte{1}, []byte{0}
	require.Equal(t, [][]byte{yes, no, no, yes, no, no, no}, values)
	return made
}

func (c *conversation) rsaSignatures(t *testing.T) {
	made := c.pair(t, cryptoki.RSAPKCSKeyPairGen, cryptoki.KeyRSA, cryptoki.Attribute{Type: cryptoki.AttrModulusBits, Value: uint(2048)},
		cryptoki.Attribute{Type: cryptoki.AttrPublicExponent, Value: []byte{1, 0, 1}})
	numbers, err := c.session(t).Attributes(made[0], cryptoki.AttrModulus, cryptoki.AttrPublicExponent)
	require.NoError(t, err)
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(numbers[0]), E: int(new(big.Int).SetBytes(numbers[1]).Int64())}
	digest := sha256.Sum256(dek)

	raw, err := c.session(t).Do(cryptoki.Sign, made[1], cryptoki.Mechanism{Type: cryptoki.RSAPKCS}, digest[:])
	require.NoError(t, err)
	require.NoError(t, rsa.VerifyPKCS1v15(public, 0, digest[:], raw), "what is signed is the input as it is")
	for _, salt := range []int{1, 32, 256 - 2 - 32} {
		m := cryptoki.Mechanism{Type: cryptoki.RSAPKCSPSS, PSS: &cryptoki.PSS{Hash: cryptoki.SHA256, Salt: salt}}
		signature, err := c.session(t).Do(cryptoki.Sign, made[1], m, digest[:])
		require.NoError(t, err)
		require.NoError(t, rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: salt}))
	}
	for _, m := range []cryptoki.Mechanism{
		{Type: cryptoki.RSAPKCSPSS}, {Type: cryptoki.RSAPKCSPSS, PSS: &cryptoki.PSS{Salt: -1}},
	} {
		_, err = c.session(t).Do(cryptoki.Sign, made[1], m, digest[:])
		requireRV(t, err)
	}
	_, err = c.session(t).Do(cryptoki.Decrypt, made[1], cryptoki.Mechanism{Type: cryptoki.RSAPKCS}, raw)
	requireRV(t, err)
}

func (c *conversation) curveSignatures(t *testing.T) {
	made := c.pair(t, cryptoki.ECKeyPairGen, cryptoki.KeyEC,
		cryptoki.Attribute{Type: cryptoki.AttrECParams, Value: []byte{0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07}})
	values, err := c.session(t).Attributes(made[0], cryptoki.AttrECPoint)
	require.NoError(t, err)
	var point []byte
	_, err = asn1.Unmarshal(values[0], &point)
	require.NoError(t, err)
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	require.NoError(t, err)
	digest := sha256.Sum256(dek)
	raw, err := c.session(t).Do(cryptoki.Sign, made[1], cryptoki.Mechanism{Type: cryptoki.ECDSA}, digest[:])
	require.NoError(t, err)
	require.Len(t, raw, 64)
	require.True(t, ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])))
}

func (c *conversation) mechanismInfo(t *testing.T) {
	slot := c.token(t).Slot
	info, err := c.library.MechanismInfo(slot, cryptoki.RSAPKCSKeyPairGen)
	require.NoError(t, err)
	require.LessOrEqual(t, info.MinKeySize, uint(2048))
	require.GreaterOrEqual(t, info.MaxKeySize, uint(4096))
	_, err = c.library.MechanismInfo(slot, 0x7FFF0001)
	require.ErrorIs(t, err, cryptoki.ErrMechanismInvalid)
	require.Equal(t, "CKM_RSA_PKCS_PSS CKM 0x7FFF0001", cryptoki.RSAPKCSPSS.String()+" "+cryptoki.MechanismType(0x7FFF0001).String())
}
