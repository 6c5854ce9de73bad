// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// asymmetricAlgorithms are one of each kind that has a form of its own.
var asymmetricAlgorithms = []envelope.Algorithm{envelope.Ed25519, envelope.ECDSAP256, envelope.ECDSAP521, envelope.RSA2048}

func bytesOf(t *testing.T, text any) []byte {
	t.Helper()
	out, err := base64.StdEncoding.DecodeString(text.(string))
	require.NoError(t, err)
	return out
}

func blockOf(t *testing.T, text any) *pem.Block {
	t.Helper()
	block, rest := pem.Decode([]byte(text.(string)))
	require.NotNil(t, block)
	require.Empty(t, rest)
	return block
}

// readBack returns both halves as a program reads them that knows nothing of us.
func readBack(t *testing.T, e envelope.Encoding, private, public any) (crypto.Signer, crypto.PublicKey) {
	t.Helper()
	var key, pub any
	var err error
	switch e {
	case envelope.DER:
		key, err = x509.ParsePKCS8PrivateKey(bytesOf(t, private))
		require.NoError(t, err)
		pub, err = x509.ParsePKIXPublicKey(bytesOf(t, public))
	case envelope.PEM:
		require.Equal(t, "PRIVATE KEY", blockOf(t, private).Type)
		key, err = x509.ParsePKCS8PrivateKey(blockOf(t, private).Bytes)
		require.NoError(t, err)
		require.Equal(t, "PUBLIC KEY", blockOf(t, public).Type)
		pub, err = x509.ParsePKIXPublicKey(blockOf(t, public).Bytes)
	case envelope.JWK:
		key, pub = jwkOf(t, private), jwkOf(t, public)
		require.NotContains(t, public, "d", "a public half has no private one in it")
	}
	require.NoError(t, err)
	return key.(crypto.Signer), pub
}

func jwkOf(t *testing.T, object any) any {
	t.Helper()
	text, err := json.Marshal(object)
	require.NoError(t, err)
	var key jose.JSONWebKey
	require.NoError(t, json.Unmarshal(text, &key))
	return key.Key
}

func TestBothHalvesLeaveInEachEncoding(t *testing.T) {
	for _, alg := range asymmetricAlgorithms {
		m, err := envelope.Generate(envelope.Spec{Algorithm: alg}, rand.Reader)
		require.NoError(t, err)
		want, wantPublic, err := alg.KeyPair(m)
		require.NoError(t, err)
		for _, e := range []envelope.Encoding{envelope.DER, envelope.PEM, envelope.JWK} {
			t.Run(string(alg)+" "+string(e), func(t *testing.T) {
				private, err := alg.EncodeKey(m, e)
				require.NoError(t, err)
				public, err := envelope.EncodePublic(m.Public(), e)
				require.NoError(t, err)
				gotPrivate, gotPublic := readBack(t, e, private, public)
				require.True(t, want.(interface{ Equal(crypto.PrivateKey) bool }).Equal(gotPrivate))
				require.Equal(t, wantPublic, gotPublic)
			})
		}
	}
}

// TestTheUsualEncodingIsTransits holds what a real Transit was seen to give out: PKCS#1 and SEC 1, and a line break at the end for RSA keys
// alone.
func TestTheUsualEncodingIsTransits(t *testing.T) {
	for _, alg := range asymmetricAlgorithms {
		m, err := envelope.Generate(envelope.Spec{Algorithm: alg}, rand.Reader)
		require.NoError(t, err)
		want, _, err := alg.KeyPair(m)
		require.NoError(t, err)
		private, err := alg.EncodeKey(m, envelope.AsInTransit)
		require.NoError(t, err)
		public, err := envelope.EncodePublic(m.Public(), envelope.AsInTransit)
		require.NoError(t, err)
		switch want := want.(type) {
		case ed25519.PrivateKey:
			require.Equal(t, []byte(want), bytesOf(t, private))
			require.Equal(t, []byte(want.Public().(ed25519.PublicKey)), bytesOf(t, public))
			raw, err := alg.EncodeKey(m, envelope.Raw)
			require.NoError(t, err)
			require.Equal(t, private, raw)
			continue
		case *ecdsa.PrivateKey:
			got, err := x509.ParseECPrivateKey(blockOf(t, private).Bytes)
			require.NoError(t, err)
			require.True(t, want.Equal(got))
			require.Regexp(t, `^-----BEGIN EC PRIVATE KEY-----\n(?s).*-----END EC PRIVATE KEY-----$`, private)
			require.Regexp(t, `-----END PUBLIC KEY-----$`, public)
		case *rsa.PrivateKey:
			got, err := x509.ParsePKCS1PrivateKey(blockOf(t, private).Bytes)
			require.NoError(t, err)
			require.True(t, want.Equal(got))
			require.Regexp(t, `-----END RSA PRIVATE KEY-----\n$`, private)
			require.Regexp(t, `-----END PUBLIC KEY-----\n$`, public)
		}
		_, err = alg.EncodeKey(m, envelope.Raw)
		require.ErrorIs(t, err, envelope.ErrInput)
		_, err = envelope.EncodePublic(m.Public(), envelope.Raw)
		require.ErrorIs(t, err, envelope.ErrInput)
	}
}

func TestSymmetricKeysLeaveAsBytes(t *testing.T) {
	m := envelope.NewMaterial([]byte("0123456789abcdef"), []byte("fedcba98765432100123456789abcdef"))
	for _, e := range []envelope.Encoding{envelope.AsInTransit, envelope.Raw, envelope.JWK} {
		key, err := envelope.AES128GCM96.EncodeKey(m, e)
		require.NoError(t, err)
		hmacKey, err := envelope.EncodeHMACKey(m, e)
		require.NoError(t, err)
		if e == envelope.JWK {
			require.Equal(t, map[string]any{"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZg"}, key)
			require.Equal(t, []byte("fedcba98765432100123456789abcdef"), jwkOf(t, hmacKey))
			continue
		}
		require.Equal(t, "MDEyMzQ1Njc4OWFiY2RlZg==", key)
		require.Equal(t, "fedcba98765432100123456789abcdef", string(bytesOf(t, hmacKey)))
	}
	for _, e := range []envelope.Encoding{envelope.DER, envelope.PEM} {
		_, err := envelope.AES128GCM96.EncodeKey(m, e)
		require.ErrorIs(t, err, envelope.ErrInput)
		_, err = envelope.EncodeHMACKey(m, e)
		require.ErrorIs(t, err, envelope.ErrInput)
	}
}

func TestAVersionWithoutItsPrivateHalfGivesOutNone(t *testing.T) {
	m, err := envelope.Generate(envelope.Spec{Algorithm: envelope.ECDSAP256}, rand.Reader)
	require.NoError(t, err)
	_, hmacKey := m.Reveal()
	for _, e := range []envelope.Encoding{envelope.AsInTransit, envelope.DER, envelope.PEM, envelope.JWK} {
		key, err := envelope.ECDSAP256.EncodeKey(envelope.NewKeyPair(nil, m.Public(), hmacKey), e)
		require.NoError(t, err)
		require.Equal(t, "", key)
	}
}

func TestEncodingsHaveNames(t *testing.T) {
	for _, name := range []string{"", "raw", "der", "pem", "jwk"} {
		e, err := envelope.ParseEncoding(name)
		require.NoError(t, err)
		require.Equal(t, name, string(e))
	}
	for _, name := range []string{"PEM", "pkcs8", " "} {
		_, err := envelope.ParseEncoding(name)
		require.ErrorIs(t, err, envelope.ErrInput)
		require.ErrorContains(t, err, "must be raw, der, pem or jwk")
	}
}
