// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// wrappingKey is made once: it takes a second.
var wrappingKey = sync.OnceValue(func() envelope.Material {
	key, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		panic(err)
	}
	m, err := envelope.KeyPairOf(key, make([]byte, 32))
	if err != nil {
		panic(err)
	}
	return m
})

func TestAWrappedKeyOpensWithItsHashAndNoOther(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	key := envelope.NewMaterial(bytes.Repeat([]byte{7}, 32), make([]byte, 32))
	wrapped, err := envelope.WrapKey(key, wrappingKey().Public(), sha256.New, rand.Reader)
	require.NoError(t, err)
	opened, err := envelope.UnwrapKey(wrappingKey(), sha256.New, wrapped)
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte{7}, 32), opened)
	_, err = envelope.UnwrapKey(wrappingKey(), sha512.New, wrapped)
	require.ErrorIs(t, err, envelope.ErrInput)
}

func TestEveryBitOfAWrappedKeyIsChecked(t *testing.T) {
	key := envelope.NewMaterial(bytes.Repeat([]byte{7}, 32), make([]byte, 32))
	wrapped, err := envelope.WrapKey(key, wrappingKey().Public(), sha256.New, rand.Reader)
	require.NoError(t, err)
	raw, err := base64.StdEncoding.DecodeString(wrapped)
	require.NoError(t, err)
	for _, at := range []int{1, 511, 512, 530, len(raw) - 1} {
		broken := bytes.Clone(raw)
		broken[at] ^= 1
		_, err := envelope.UnwrapKey(wrappingKey(), sha256.New, base64.StdEncoding.EncodeToString(broken))
		require.ErrorIs(t, err, envelope.ErrInput, at)
		require.ErrorContains(t, err, "does not open")
	}
	for _, short := range [][]byte{nil, raw[:511], raw[:512], raw[:513], raw[:len(raw)-8]} {
		_, err := envelope.UnwrapKey(wrappingKey(), sha256.New, base64.StdEncoding.EncodeToString(short))
		require.ErrorIs(t, err, envelope.ErrInput)
	}
}

func TestAPublicHalfIsNotWrapped(t *testing.T) {
	_, err := envelope.WrapKey(wrappingKey().WithoutPrivate(), wrappingKey().Public(), sha256.New, rand.Reader)
	require.ErrorIs(t, err, envelope.ErrInput)
	require.ErrorContains(t, err, "private part")
}

func TestAnImportedKeyIsOneOfItsAlgorithm(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	m, err := envelope.ImportKey(envelope.ECDSAP256, der, rand.Reader)
	require.NoError(t, err)
	require.True(t, m.HasKey())
	for _, alg := range []envelope.Algorithm{envelope.ECDSAP384, envelope.Ed25519, envelope.RSA2048, envelope.AES256GCM96, envelope.ChaCha20Poly1305} {
		_, err := envelope.ImportKey(alg, der, rand.Reader)
		require.ErrorIs(t, err, envelope.ErrInput, alg)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: m.Public()}))
	half, err := envelope.ImportPublicKey(envelope.ECDSAP256, public, rand.Reader)
	require.NoError(t, err)
	require.False(t, half.HasKey())
	require.Equal(t, m.Fingerprint(), half.Fingerprint())
	whole := half.WithPrivate(m)
	_, hmacKey := half.Reveal()
	_, kept := whole.Reveal()
	require.Equal(t, hmacKey, kept, "HMACs of the version go on verifying")
	require.True(t, whole.WithoutPrivate().Equal(half))
	_, err = envelope.ImportPublicKey(envelope.RSA2048, public, rand.Reader)
	require.ErrorIs(t, err, envelope.ErrInput)
	_, err = envelope.ImportPublicKey(envelope.ECDSAP256, "text", rand.Reader)
	require.ErrorIs(t, err, envelope.ErrInput)
}

func TestACloneHasASecretOfItsOwn(t *testing.T) {
	m := envelope.NewMaterial([]byte("key"), []byte("hmac"))
	c := m.Clone()
	m.Wipe()
	require.True(t, c.Equal(envelope.NewMaterial([]byte("key"), []byte("hmac"))))
}
