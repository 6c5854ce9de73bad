// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// signing are the algorithms with a public half. Those of RSA that are slow to make are left to the tests of the API.
var signing = []envelope.Algorithm{envelope.Ed25519, envelope.ECDSAP256, envelope.ECDSAP384, envelope.ECDSAP521, envelope.RSA2048}

var pss = envelope.SignParams{SaltLength: rsa.PSSSaltLengthEqualsHash}

func keyPair(t *testing.T, algorithm envelope.Algorithm) envelope.Material {
	t.Helper()
	m, err := envelope.Generate(envelope.Spec{Algorithm: algorithm}, rand.Reader)
	require.NoError(t, err)
	return m
}

// verifies is how Go's own library verifies.
func verifies(public crypto.PublicKey, input, signature []byte) bool {
	switch public := public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, input, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, input, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPSS(public, crypto.SHA256, input, signature, nil) == nil
	}
	return false
}

func TestSignaturesAreThoseOfThePublicHalf(t *testing.T) {
	digest := sha256.Sum256([]byte("text"))
	for _, algorithm := range signing {
		m := keyPair(t, algorithm)
		spec := envelope.Spec{Algorithm: algorithm}
		c := newCipher(t, spec, 7, m)
		require.NoError(t, c.SelfTest(t.Context()))
		signature, err := c.Sign(t.Context(), digest[:], pss)
		require.NoError(t, err, algorithm)
		version, payload, err := envelope.Parse(signature.Text)
		require.NoError(t, err)
		require.Equal(t, 7, version)

		raw, err := base64.StdEncoding.DecodeString(payload)
		require.NoError(t, err)
		public, err := x509.ParsePKIXPublicKey(m.Public())
		require.NoError(t, err)
		require.True(t, verifies(public, digest[:], raw), algorithm)

		alone, err := envelope.NewVerifier(spec, 7, m.Public())
		require.NoError(t, err)
		for _, v := range []*envelope.Cipher{c, alone} {
			valid, err := v.Verify(t.Context(), digest[:], payload, pss)
			require.NoError(t, err)
			require.True(t, valid, algorithm)
			other := sha256.Sum256([]byte("another text"))
			valid, err = v.Verify(t.Context(), other[:], payload, pss)
			require.NoError(t, err)
			require.False(t, valid, algorithm)
		}
		_, err = alone.Sign(t.Context(), digest[:], pss)
		require.ErrorIs(t, err, envelope.ErrInput)
	}
}

func TestKeyPairsAreSealedWithTheirPublicHalf(t *testing.T) {
	m := keyPair(t, envelope.ECDSAP256)
	sealed, err := envelope.Seal(t.Context(), carelessWrapper{}, m, testBinding, rand.Reader)
	require.NoError(t, err)
	opened, err := envelope.Open(t.Context(), carelessWrapper{}, sealed, testBinding)
	require.NoError(t, err)
	require.True(t, m.Equal(opened))
	require.Equal(t, m.Public(), opened.Public())

	_, hmacKey := m.Reveal()
	half := envelope.NewKeyPair(nil, m.Public(), hmacKey)
	require.Equal(t, m.Fingerprint(), half.Fingerprint(), "the fingerprint is that of the public half")
	sealed, err = envelope.Seal(t.Context(), carelessWrapper{}, half, testBinding, rand.Reader)
	require.NoError(t, err)
	opened, err = envelope.Open(t.Context(), carelessWrapper{}, sealed, testBinding)
	require.NoError(t, err)
	require.True(t, half.Equal(opened))
	require.False(t, m.Equal(opened))
}

func TestHalvesThatAreNoPairMakeNoCipher(t *testing.T) {
	a, b := keyPair(t, envelope.ECDSAP256), keyPair(t, envelope.ECDSAP256)
	key, hmacKey := a.Reveal()
	for name, m := range map[string]envelope.Material{
		"another's public half": envelope.NewKeyPair(key, b.Public(), hmacKey),
		"no private key":        envelope.NewKeyPair([]byte("key"), a.Public(), hmacKey),
		"no public key":         envelope.NewKeyPair(key, []byte("key"), hmacKey),
		"of another curve":      keyPair(t, envelope.ECDSAP384),
		"none":                  envelope.NewMaterial(key, hmacKey),
	} {
		_, err := envelope.NewCipher(envelope.Spec{Algorithm: envelope.ECDSAP256}, 1, m, rand.Reader)
		require.ErrorIs(t, err, envelope.ErrInternal, name)
	}
}

func TestKeysWithoutAPublicHalfDoNotSign(t *testing.T) {
	for _, spec := range []envelope.Spec{{Algorithm: envelope.AES256GCM96}, {Algorithm: envelope.HMAC, Size: 32}} {
		m, err := envelope.Generate(spec, rand.Reader)
		require.NoError(t, err)
		c := newCipher(t, spec, 1, m)
		_, err = c.Sign(t.Context(), []byte("text"), pss)
		require.ErrorContains(t, err, "not supported for key type "+string(spec.Algorithm))
		_, err = c.Verify(t.Context(), []byte("text"), "c2ln", pss)
		require.ErrorIs(t, err, envelope.ErrInput)
	}
}

func TestHMACKeysDoNothingElse(t *testing.T) {
	spec := envelope.Spec{Algorithm: envelope.HMAC, Size: 48}
	m, err := envelope.Generate(spec, rand.Reader)
	require.NoError(t, err)
	key, hmacKey := m.Reveal()
	require.Len(t, key, 48)
	require.Equal(t, key, hmacKey)
	c := newCipher(t, spec, 1, m)
	require.NoError(t, c.SelfTest(t.Context()))
	_, err = c.Encrypt(t.Context(), "dGV4dA==", envelope.Params{})
	require.EqualError(t, err, "message encryption not supported for key type hmac")
	_, err = c.Decrypt(t.Context(), "dGV4dA==", envelope.Params{})
	require.EqualError(t, err, "message decryption not supported for key type hmac")
}
