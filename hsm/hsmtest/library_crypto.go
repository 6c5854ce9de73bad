// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsmtest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what tokens know of OAEP
	"crypto/sha256"
	"hash"
	"math/big"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

func gcmOf(iv, aad []byte) cryptoki.Mechanism {
	return cryptoki.Mechanism{Type: cryptoki.AESGCM, GCM: &cryptoki.GCM{IV: iv, AAD: aad}}
}

func (c *conversation) gcm(t *testing.T) {
	if c.fixture.NoGCM {
		c.noMechanism(t)
		return
	}
	key := c.aesKey(t, "kek", cryptoki.AESGCM)
	for _, a := range [][]byte{nil, aad, bytes.Repeat(aad, 500)} {
		for _, size := range []int{1, 16, 32, 2048} {
			c.sealAndOpen(t, key, bytes.Repeat([]byte{0xd5}, size), a)
		}
	}
	iv := bytes.Repeat([]byte{3}, 12)
	sealed, err := c.session(t).Do(cryptoki.Encrypt, key, gcmOf(iv, aad), dek)
	require.NoError(t, err)
	for _, at := range []int{0, len(dek), len(sealed) - 1} {
		damaged := bytes.Clone(sealed)
		damaged[at] ^= 1
		c.notOpened(t, key, gcmOf(iv, aad), damaged)
	}
	c.notOpened(t, key, gcmOf(iv, aad[1:]), sealed)
	c.notOpened(t, key, gcmOf(iv, nil), sealed)
	c.notOpened(t, key, gcmOf(bytes.Repeat([]byte{4}, 12), aad), sealed)
	c.notOpened(t, key, gcmOf(iv, aad), sealed[:len(sealed)-1])
	c.notOpened(t, c.aesKey(t, "other", cryptoki.AESGCM), gcmOf(iv, aad), sealed)
}

func (c *conversation) sealAndOpen(t *testing.T, key cryptoki.Object, secret, aad []byte) {
	t.Helper()
	iv, input, data := identifier()[:12], bytes.Clone(secret), bytes.Clone(aad)
	session := c.session(t)
	sealed, err := session.Do(cryptoki.Encrypt, key, gcmOf(iv, data), input)
	require.NoError(t, err)
	require.Len(t, sealed, len(secret)+16)
	require.Equal(t, [][]byte{secret, aad}, [][]byte{input, data}, "arguments are left as they were")
	opened, err := session.Do(cryptoki.Decrypt, key, gcmOf(iv, data), sealed)
	require.NoError(t, err)
	require.Equal(t, secret, opened)
	require.NoError(t, session.Close())
}

func (c *conversation) notOpened(t *testing.T, key cryptoki.Object, mechanism cryptoki.Mechanism, input []byte) {
	t.Helper()
	session := c.session(t)
	got, err := session.Do(cryptoki.Decrypt, key, mechanism, input)
	requireRV(t, err)
	require.Nil(t, got)
	require.NoError(t, session.Close())
}

func (c *conversation) missingIV(t *testing.T) {
	cbc := func(iv []byte) cryptoki.Mechanism { return cryptoki.Mechanism{Type: cryptoki.AESCBCPad, IV: iv} }
	refused := []cryptoki.Mechanism{cbc(nil), cbc([]byte{}), cbc(make([]byte, 12))}
	if !c.fixture.NoGCM {
		refused = append(refused, cryptoki.Mechanism{Type: cryptoki.AESGCM}, gcmOf(nil, aad), gcmOf([]byte{}, aad))
	}
	for _, mechanism := range refused {
		got, err := c.session(t).Do(cryptoki.Encrypt, c.aesKey(t, "kek", mechanism.Type), mechanism, dek)
		require.ErrorIs(t, err, cryptoki.ErrMechanismParamInvalid)
		require.Nil(t, got)
	}
}

func (c *conversation) cbc(t *testing.T) {
	key := c.aesKey(t, "kek", cryptoki.AESCBCPad)
	iv := identifier()
	mechanism := cryptoki.Mechanism{Type: cryptoki.AESCBCPad, IV: iv}
	session := c.session(t)
	for _, size := range []int{1, 15, 16, 17, 32, 2048} {
		secret := bytes.Repeat([]byte{0xd5}, size)
		sealed, err := session.Do(cryptoki.Encrypt, key, mechanism, secret)
		require.NoError(t, err)
		require.Len(t, sealed, (size/16+1)*16)
		opened, err := session.Do(cryptoki.Decrypt, key, mechanism, sealed)
		require.NoError(t, err)
		require.Equal(t, secret, opened)
	}
	c.notOpened(t, key, mechanism, make([]byte, 17))
}

func (c *conversation) hmac(t *testing.T) {
	one, other := c.hmacKey(t, "one"), c.hmacKey(t, "other")
	session := c.session(t)
	mac := func(key cryptoki.Object, data string) string {
		got, err := session.Do(cryptoki.Sign, key, cryptoki.Mechanism{Type: cryptoki.SHA256HMAC}, []byte(data))
		require.NoError(t, err)
		require.Len(t, got, sha256.Size)
		return string(got)
	}
	require.Equal(t, mac(one, "data"), mac(one, "data"))
	require.NotEqual(t, mac(one, "data"), mac(one, "datb"))
	require.NotEqual(t, mac(one, "data"), mac(other, "data"))
	require.NotEqual(t, mac(one, ""), mac(one, "data"))
}

func (c *conversation) oaep(t *testing.T) {
	label := cryptoki.Attribute{Type: cryptoki.AttrLabel, Value: "pair"}
	kept := cryptoki.Attribute{Type: cryptoki.AttrToken, Value: true}
	session := c.session(t)
	pair, err := session.Generate(cryptoki.Mechanism{Type: cryptoki.RSAPKCSKeyPairGen},
		cryptoki.Template{
			label, kept,
			{Type: cryptoki.AttrEncrypt, Value: true},
			{Type: cryptoki.AttrModulusBits, Value: uint(2048)},
			{Type: cryptoki.AttrPublicExponent, Value: []byte{1, 0, 1}},
		},
		cryptoki.Template{
			label, kept,
			{Type: cryptoki.AttrPrivate, Value: true},
			{Type: cryptoki.AttrSensitive, Value: true},
			{Type: cryptoki.AttrExtractable, Value: false},
			{Type: cryptoki.AttrDecrypt, Value: true},
			{Type: cryptoki.AttrSign, Value: false},
		})
	require.NoError(t, err)
	require.Len(t, pair, 2)
	numbers, err := session.Attributes(pair[0], cryptoki.AttrModulus, cryptoki.AttrPublicExponent)
	require.NoError(t, err)
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(numbers[0]), E: int(new(big.Int).SetBytes(numbers[1]).Int64())}

	sealed, err := rsa.EncryptOAEP(c.oaepHash(), rand.Reader, public, dek, nil)
	require.NoError(t, err)
	mechanism := cryptoki.Mechanism{Type: cryptoki.RSAPKCSOAEP, OAEP: &cryptoki.OAEP{Hash: c.fixture.OAEP}}
	opened, err := session.Do(cryptoki.Decrypt, pair[1], mechanism, sealed)
	require.NoError(t, err)
	require.Equal(t, dek, opened)
	sealed[len(sealed)-1] ^= 1
	c.notOpened(t, pair[1], mechanism, sealed)
}

func (c *conversation) oaepHash() hash.Hash {
	if c.fixture.OAEP == cryptoki.SHA1 {
		return sha1.New() //nolint:gosec // what tokens know of OAEP
	}
	return sha256.New()
}

func (c *conversation) usage(t *testing.T) {
	signing, wrapping := c.hmacKey(t, "mac"), c.aesKey(t, "kek", cryptoki.AESCBCPad)
	mechanism := cryptoki.Mechanism{Type: cryptoki.AESCBCPad, IV: identifier()}
	_, err := c.session(t).Do(cryptoki.Encrypt, signing, mechanism, dek)
	requireRV(t, err)
	_, err = c.session(t).Do(cryptoki.Sign, wrapping, cryptoki.Mechanism{Type: cryptoki.SHA256HMAC}, dek)
	requireRV(t, err)
}

func (c *conversation) noMechanism(t *testing.T) {
	const unknown cryptoki.MechanismType = 0x7FFF0001
	mechanism := cryptoki.Mechanism{Type: unknown}
	if c.fixture.NoGCM {
		mechanism = gcmOf(identifier()[:12], aad)
	}
	key := c.aesKey(t, "kek", mechanism.Type)
	_, err := c.session(t).Do(cryptoki.Encrypt, key, mechanism, dek)
	require.ErrorIs(t, err, cryptoki.ErrMechanismInvalid)
}

func (c *conversation) errors(t *testing.T) {
	const nowhere = 1 << 20
	_, err := c.session(t).Do(cryptoki.Sign, nowhere, cryptoki.Mechanism{Type: cryptoki.SHA256HMAC}, dek)
	requireRV(t, err)
	require.Contains(t, err.Error(), "CKR_")
	require.NotContains(t, err.Error(), string(dek))
	_, err = c.library.Open(nowhere)
	require.ErrorIs(t, err, cryptoki.ErrSlotIDInvalid)
	require.ErrorContains(t, err, "CKR_SLOT_ID_INVALID (0x3)")
}

func (c *conversation) reinitialize(t *testing.T) {
	c.hmacKey(t, "key")
	before := c.session(t)
	require.NoError(t, c.library.Reinitialize())
	c.loggedIn = false
	_, err := before.Random(1)
	requireRV(t, err)
	_ = before.Close() // says nothing, or that there is none

	template := cryptoki.Template{{Type: cryptoki.AttrLabel, Value: "key"}}
	found, err := c.open(t).Find(template)
	require.NoError(t, err)
	require.Empty(t, found, "the login is lost too")
	session := c.session(t)
	found, err = session.Find(template)
	require.NoError(t, err)
	require.Len(t, found, 1)
	_, err = session.Do(cryptoki.Sign, found[0], cryptoki.Mechanism{Type: cryptoki.SHA256HMAC}, dek)
	require.NoError(t, err)
}

func (c *conversation) concurrent(t *testing.T) {
	key := c.aesKey(t, "kek", cryptoki.AESCBCPad)
	var workers sync.WaitGroup
	for i := range 8 {
		session := c.session(t)
		workers.Go(func() {
			secret := bytes.Repeat([]byte{byte(i)}, 32) //nolint:gosec // eight at most
			mechanism := cryptoki.Mechanism{Type: cryptoki.AESCBCPad, IV: identifier()}
			for range 50 {
				sealed, err := session.Do(cryptoki.Encrypt, key, mechanism, secret)
				assert.NoError(t, err)
				opened, err := session.Do(cryptoki.Decrypt, key, mechanism, sealed)
				assert.NoError(t, err)
				assert.Equal(t, secret, opened)
			}
		})
	}
	workers.Wait()
}
