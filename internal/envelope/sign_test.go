// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	_ "golang.org/x/crypto/sha3" // registers the hashes

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// goHashes are Go's names of the hashes.
var goHashes = map[string]crypto.Hash{
	"sha1": crypto.SHA1, "sha2-224": crypto.SHA224, "sha2-256": crypto.SHA256, "sha2-384": crypto.SHA384, "sha2-512": crypto.SHA512,
	"sha3-224": crypto.SHA3_224, "sha3-256": crypto.SHA3_256, "sha3-384": crypto.SHA3_384, "sha3-512": crypto.SHA3_512,
}

// signed signs a text with a private key and returns the raw signature.
func signed(t *testing.T, c *envelope.Cipher, input []byte, p envelope.SignParams) []byte {
	t.Helper()
	s, err := c.Sign(t.Context(), input, p)
	require.NoError(t, err)
	_, payload, err := envelope.ParseSignature(s.Text)
	require.NoError(t, err)
	raw, err := base64.StdEncoding.DecodeString(payload)
	require.NoError(t, err)
	return raw
}

func accepts(t *testing.T, c *envelope.Cipher, input, signature []byte, p envelope.SignParams) bool {
	t.Helper()
	valid, err := c.Verify(t.Context(), input, base64.StdEncoding.EncodeToString(signature), p)
	if err != nil {
		require.ErrorIs(t, err, envelope.ErrInput)
	}
	return valid && err == nil
}

func TestRSASignsAsGoDoesWithEveryHashSchemeAndSalt(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	c := newCipher(t, envelope.Spec{Algorithm: envelope.RSA2048}, 1, pairOf(t, private))
	for name, hash := range goHashes {
		digest := envelope.Digest(name, []byte("text"))
		require.Len(t, digest, hash.Size())
		for _, salt := range []int{rsa.PSSSaltLengthAuto, rsa.PSSSaltLengthEqualsHash, 1, hash.Size(), 256 - 2 - hash.Size()} {
			p, options := envelope.SignParams{Hash: name, SaltLength: salt}, &rsa.PSSOptions{SaltLength: salt, Hash: hash}
			require.NoError(t, rsa.VerifyPSS(&private.PublicKey, hash, digest, signed(t, c, digest, p), options), "%s, salt %d", name, salt)
			theirs, err := rsa.SignPSS(rand.Reader, private, hash, digest, options)
			require.NoError(t, err)
			require.True(t, accepts(t, c, digest, theirs, p), "%s, salt %d", name, salt)
			require.False(t, accepts(t, c, digest, theirs, envelope.SignParams{Hash: name, Scheme: "pkcs1v15"}))
			require.False(t, accepts(t, c, envelope.Digest(name, []byte("other")), theirs, p))
		}
		p := envelope.SignParams{Hash: name, Scheme: "pkcs1v15"}
		require.NoError(t, rsa.VerifyPKCS1v15(&private.PublicKey, hash, digest, signed(t, c, digest, p)))
	}
	_, err = c.Sign(t.Context(), envelope.Digest("sha2-256", nil), envelope.SignParams{SaltLength: 256})
	require.EqualError(t, err, "requested salt length 256 is invalid")
	_, err = c.Sign(t.Context(), []byte("no digest"), envelope.SignParams{})
	require.Error(t, err)
	_, err = c.Sign(t.Context(), envelope.Digest("sha2-256", nil), envelope.SignParams{Scheme: "other"})
	require.ErrorIs(t, err, envelope.ErrInternal)
}

func pairOf(t *testing.T, private crypto.Signer) envelope.Material {
	t.Helper()
	m, err := envelope.KeyPairOf(private, make([]byte, 32))
	require.NoError(t, err)
	return m
}

func TestSignaturesInTheFormOfJWSHaveTheirNumbersSideBySide(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	for algorithm, size := range map[envelope.Algorithm]int{envelope.ECDSAP256: 64, envelope.ECDSAP384: 96, envelope.ECDSAP521: 132} {
		m := keyPair(t, algorithm)
		c := newCipher(t, envelope.Spec{Algorithm: algorithm}, 1, m)
		digest := sha256.Sum256([]byte("text"))
		for range 20 { // some numbers have zeros in front
			s, err := c.Sign(t.Context(), digest[:], envelope.SignParams{Marshaling: "jws"})
			require.NoError(t, err)
			_, payload, err := envelope.ParseSignature(s.Text)
			require.NoError(t, err)
			raw, err := base64.RawURLEncoding.DecodeString(payload)
			require.NoError(t, err)
			require.Len(t, raw, size)
			parsed, err := x509.ParsePKIXPublicKey(m.Public())
			require.NoError(t, err)
			public, _ := parsed.(*ecdsa.PublicKey)
			require.True(t, ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(raw[:size/2]), new(big.Int).SetBytes(raw[size/2:])))
			valid, err := c.Verify(t.Context(), digest[:], payload, envelope.SignParams{Marshaling: "jws"})
			require.NoError(t, err)
			require.True(t, valid)
		}
	}
}

// TestEd25519IsThatOfRFC8032 is test 3 of section 7.1, and what Wycheproof has of signatures that nobody made.
func TestEd25519IsThatOfRFC8032(t *testing.T) {
	private := ed25519.NewKeyFromSeed(unhex(t, "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
	want := unhex(t, "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")
	text := []byte{0xaf, 0x82}
	c := newCipher(t, envelope.Spec{Algorithm: envelope.Ed25519}, 1, pairOf(t, private))
	require.Equal(t, want, signed(t, c, text, envelope.SignParams{}))
	require.True(t, accepts(t, c, text, want, envelope.SignParams{}))

	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	beyond := slices.Clone(want[32:])
	slices.Reverse(beyond)
	beyond = new(big.Int).Add(new(big.Int).SetBytes(beyond), order).FillBytes(make([]byte, 32))
	slices.Reverse(beyond)
	for name, bad := range map[string][]byte{
		"s is beyond the order": append(slices.Clone(want[:32]), beyond...), "cut": want[:63], "longer": append(slices.Clone(want), 0),
		"nothing": nil, "zeros": make([]byte, 64), "one byte changed": append([]byte{want[0] ^ 1}, want[1:]...),
	} {
		require.False(t, accepts(t, c, text, bad, envelope.SignParams{}), name)
	}
}

// TestECDSAIsThatOfRFC6979 is the key and the signature of "sample" of section A.2.5, and what Wycheproof has of signatures that nobody made.
func TestECDSAIsThatOfRFC6979(t *testing.T) {
	number := func(text string) *big.Int { return new(big.Int).SetBytes(unhex(t, text)) }
	public := &ecdsa.PublicKey{
		Curve: elliptic.P256(), X: number("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"),
		Y: number("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"),
	}
	r, s := number("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"), number("F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8")
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	c, err := envelope.NewVerifier(envelope.Spec{Algorithm: envelope.ECDSAP256}, 1, der)
	require.NoError(t, err)
	digest := sha256.Sum256([]byte("sample"))
	pair := func(r, s *big.Int) []byte {
		raw, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		require.NoError(t, err)
		return raw
	}
	good := pair(r, s)
	require.True(t, accepts(t, c, digest[:], good, envelope.SignParams{}))

	n, zero := elliptic.P256().Params().N, new(big.Int)
	for name, bad := range map[string][]byte{
		"r is zero": pair(zero, s), "s is zero": pair(r, zero), "both are zero": pair(zero, zero), "r is the order": pair(n, s), "s is the order": pair(r, n),
		"r is beyond the order": pair(new(big.Int).Add(r, n), s), "s is beyond the order": pair(r, new(big.Int).Add(s, n)),
		"r is negative": pair(new(big.Int).Neg(r), s), "s is negative": pair(r, new(big.Int).Neg(s)), "the other way round": pair(s, r),
		"one byte more": append(slices.Clone(good), 0), "cut": good[:len(good)-1], "nothing": nil, "a length in two bytes": bytes.Replace(good, []byte{0x30}, []byte{0x30, 0x81}, 1),
	} {
		require.False(t, accepts(t, c, digest[:], bad, envelope.SignParams{}), name)
	}
}
