// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// This file fuzzes what parses the input of a client. None of it may panic, nor find the server at fault for what a client sent.

// pairs are the algorithms of keys with two halves that are made at once.
var pairs = []envelope.Algorithm{
	envelope.Ed25519, envelope.ECDSAP256, envelope.ECDSAP384, envelope.ECDSAP521, envelope.RSA2048, envelope.MLDSA44,
}

func pick[T any](from []T, n uint8) T { return from[int(n)%len(from)] }

// fuzzed are keys of pairs, which are made once.
var fuzzed = sync.OnceValue(func() map[envelope.Algorithm]envelope.Material {
	all := map[envelope.Algorithm]envelope.Material{}
	for _, a := range pairs {
		m, err := envelope.Generate(envelope.Spec{Algorithm: a}, rand.Reader)
		if err != nil {
			panic(err)
		}
		all[a] = m
	}
	return all
})

// requireInput demands that an error is about what the client sent.
func requireInput(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		require.ErrorIs(t, err, envelope.ErrInput)
		require.False(t, errors.Is(err, envelope.ErrInternal), "%v", err)
	}
}

// someSigners are private keys as Go makes them.
func someSigners(f *testing.F) []crypto.Signer {
	f.Helper()
	_, one, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(f, err)
	two, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	three, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(f, err)
	return []crypto.Signer{one, two, three}
}

func FuzzImportKey(f *testing.F) {
	for i, private := range someSigners(f) {
		der, err := x509.MarshalPKCS8PrivateKey(private)
		require.NoError(f, err)
		f.Add(uint8([]int{0, 1, 4}[i]), der)
	}
	f.Add(uint8(6), make([]byte, 32))
	f.Add(uint8(7), make([]byte, 32))
	f.Add(uint8(8), make([]byte, 32))
	all := slices.Concat(pairs, []envelope.Algorithm{envelope.AES256GCM96, envelope.HMAC, envelope.AES256CMAC})
	f.Fuzz(func(t *testing.T, n uint8, key []byte) {
		alg := pick(all, n)
		m, err := envelope.ImportKey(alg, key, rand.Reader)
		if err != nil {
			requireInput(t, err)
			return
		}
		c, err := envelope.NewCipher(envelope.Spec{Algorithm: alg}, 1, m, rand.Reader)
		require.NoError(t, err)
		require.NoError(t, c.SelfTest(t.Context()), "what is imported works")
	})
}

func FuzzImportPublicKey(f *testing.F) {
	for i, private := range someSigners(f) {
		der, err := x509.MarshalPKIXPublicKey(private.Public())
		require.NoError(f, err)
		f.Add(uint8([]int{0, 1, 4}[i]), der)
	}
	f.Fuzz(func(t *testing.T, n uint8, der []byte) {
		alg := pick(pairs, n)
		text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		m, err := envelope.ImportPublicKey(alg, text, rand.Reader)
		if err != nil {
			requireInput(t, err)
			return
		}
		c, err := envelope.NewCipher(envelope.Spec{Algorithm: alg}, 1, m, rand.Reader)
		require.NoError(t, err)
		_, err = c.Sign(t.Context(), make([]byte, 32), envelope.SignParams{})
		requireInput(t, err)
		require.Error(t, err)
		valid, err := c.Verify(t.Context(), make([]byte, 32), "AAAA", envelope.SignParams{})
		requireInput(t, err)
		require.False(t, valid)
		if alg == envelope.RSA2048 {
			_, err = c.Encrypt(t.Context(), base64.StdEncoding.EncodeToString([]byte("text")), envelope.Params{})
			requireInput(t, err)
		}
	})
}

func FuzzUnwrapKey(f *testing.F) {
	wrapped, err := envelope.WrapKey(envelope.NewMaterial(make([]byte, 32), make([]byte, 32)), wrappingKey().Public(), sha256.New, rand.Reader)
	require.NoError(f, err)
	f.Add(wrapped)
	f.Add("")
	f.Add(base64.StdEncoding.EncodeToString(make([]byte, 512)))
	f.Fuzz(func(t *testing.T, text string) {
		key, err := envelope.UnwrapKey(wrappingKey(), sha256.New, text)
		requireInput(t, err)
		require.True(t, err == nil || key == nil)
	})
}

// someChain is the certificate of a key by an authority, and that of the authority.
func someChain(f *testing.F) []byte {
	f.Helper()
	signers := someSigners(f)
	from := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, NotAfter: time.Unix(1<<33, 0), BasicConstraintsValid: true}
	authority := from
	authority.IsCA = true
	leaf, err := x509.CreateCertificate(rand.Reader, &from, &authority, signers[0].Public(), signers[1])
	require.NoError(f, err)
	root, err := x509.CreateCertificate(rand.Reader, &authority, &authority, signers[1].Public(), signers[1])
	require.NoError(f, err)
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root})...)
}

func FuzzParseChain(f *testing.F) {
	f.Add(string(someChain(f)))
	f.Add("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----")
	f.Add(" ")
	f.Fuzz(func(t *testing.T, text string) {
		chain, err := envelope.ParseChain(text)
		if err != nil {
			requireInput(t, err)
			return
		}
		for _, alg := range pairs {
			requireInput(t, alg.CheckLeaf(chain))
		}
		again, err := envelope.ParseChain(envelope.FormatChain(chain.DER))
		require.NoError(t, err)
		require.Equal(t, chain, again)
	})
}

func FuzzCertificateRequest(f *testing.F) {
	for _, private := range someSigners(f) {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: "a"}, DNSNames: []string{"a.example"},
		}, private)
		require.NoError(f, err)
		f.Add(uint8(0), der)
	}
	f.Fuzz(func(t *testing.T, n uint8, der []byte) {
		alg := pick(pairs, n)
		template, err := envelope.ParseRequest(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
		if err != nil {
			requireInput(t, err)
			return
		}
		c, err := envelope.NewCipher(envelope.Spec{Algorithm: alg}, 1, fuzzed()[alg], rand.Reader)
		require.NoError(t, err)
		text, err := c.Request(t.Context(), template)
		if err != nil {
			requireInput(t, err)
			return
		}
		_, err = envelope.ParseRequest(text)
		require.NoError(t, err)
	})
}

func FuzzVerify(f *testing.F) {
	for n, alg := range pairs {
		c, err := envelope.NewCipher(envelope.Spec{Algorithm: alg}, 1, fuzzed()[alg], rand.Reader)
		require.NoError(f, err)
		for _, marshaling := range []string{"asn1", "jws"} {
			s, err := c.Sign(f.Context(), make([]byte, 32), envelope.SignParams{Marshaling: marshaling})
			require.NoError(f, err)
			f.Add(uint8(n), s.Text, marshaling == "jws", 0)
		}
	}
	f.Add(uint8(1), "vault:v1:MAA=", false, 0)
	f.Add(uint8(4), "vault:v1:", false, 1<<40)
	f.Fuzz(func(t *testing.T, n uint8, text string, jws bool, salt int) {
		alg := pick(pairs, n)
		version, payload, err := envelope.ParseSignature(text)
		if err != nil {
			requireInput(t, err)
			require.Zero(t, version)
			return
		}
		c, err := envelope.NewVerifier(envelope.Spec{Algorithm: alg}, 1, fuzzed()[alg].Public())
		require.NoError(t, err)
		marshaling := map[bool]string{true: "jws", false: "asn1"}[jws]
		valid, err := c.Verify(t.Context(), []byte("another text, of the length 32.."), payload, envelope.SignParams{Marshaling: marshaling, SaltLength: salt})
		requireInput(t, err)
		require.False(t, valid)
	})
}

func FuzzParseMAC(f *testing.F) {
	for _, text := range []string{"", "vault:v1:", "vault:v1:AAAA", "vault:v0:AAAA", "vault:v-1:AAAA", "vault:v99999999999999999999:AA", "vault:v1:a:b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []string{"hmac", "cmac"} {
			version, payload, err := envelope.ParseMAC(kind, text)
			if err != nil {
				requireInput(t, err)
				require.Zero(t, version)
				require.Empty(t, payload)
			}
		}
	})
}
