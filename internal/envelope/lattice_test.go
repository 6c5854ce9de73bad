// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

var lattices = map[string]struct {
	algorithm envelope.Algorithm
	set       mldsa.Parameters
}{
	"ML-DSA-44": {envelope.MLDSA44, mldsa.MLDSA44()}, "ML-DSA-65": {envelope.MLDSA65, mldsa.MLDSA65()}, "ML-DSA-87": {envelope.MLDSA87, mldsa.MLDSA87()},
}

type latticeVectors struct {
	Keys       []struct{ Set, Seed, PK string }
	Signatures []struct{ Set, Comment, PK, Msg, Sig, Result string }
}

func readLatticeVectors(t *testing.T) (v latticeVectors) {
	t.Helper()
	raw, err := os.ReadFile("testdata/mldsa.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &v))
	require.Len(t, v.Keys, 9)
	require.Greater(t, len(v.Signatures), 9)
	return v
}

func TestMLDSAKeysAreThoseOfTheirSeed(t *testing.T) {
	for _, v := range readLatticeVectors(t).Keys {
		l := lattices[v.Set]
		private, err := mldsa.NewPrivateKey(l.set, unhex(t, v.Seed))
		require.NoError(t, err)
		m, err := envelope.KeyPairOf(private, make([]byte, 32))
		require.NoError(t, err)
		public, err := x509.ParsePKIXPublicKey(m.Public())
		require.NoError(t, err)
		require.Equal(t, v.PK, hex.EncodeToString(public.(*mldsa.PublicKey).Bytes()))
		require.NoError(t, newCipher(t, envelope.Spec{Algorithm: l.algorithm}, 1, m).SelfTest(t.Context()))
	}
}

func TestMLDSAVerifiesAsWycheproofSays(t *testing.T) {
	results := map[string]int{}
	for _, v := range readLatticeVectors(t).Signatures {
		l := lattices[v.Set]
		public, err := mldsa.NewPublicKey(l.set, unhex(t, v.PK))
		if err != nil {
			require.Equal(t, "invalid", v.Result)
			continue
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		require.NoError(t, err)
		c, err := envelope.NewVerifier(envelope.Spec{Algorithm: l.algorithm}, 1, der)
		require.NoError(t, err)
		valid, err := c.Verify(t.Context(), unhex(t, v.Msg), b64(unhex(t, v.Sig)), envelope.SignParams{})
		require.NoError(t, err)
		require.Equal(t, v.Result == "valid", valid, "%s: %s", v.Set, v.Comment)
		results[v.Result]++
	}
	require.Positive(t, results["valid"])
	require.Positive(t, results["invalid"])
}

func TestMLDSASignsTextsAndDoesNothingElse(t *testing.T) {
	for name, l := range lattices {
		spec := envelope.Spec{Algorithm: l.algorithm}
		m := keyPair(t, l.algorithm)
		c := newCipher(t, spec, 7, m)
		require.False(t, c.SignsDigests())
		public, err := x509.ParsePKIXPublicKey(m.Public())
		require.NoError(t, err)
		seen := map[string]bool{}
		for marshaling, encoding := range map[string]*base64.Encoding{"": base64.StdEncoding, "asn1": base64.StdEncoding, "jws": base64.RawURLEncoding} {
			p := envelope.SignParams{Marshaling: marshaling}
			signature, err := c.Sign(t.Context(), []byte("text"), p)
			require.NoError(t, err)
			version, payload, err := envelope.Parse(signature.Text)
			require.NoError(t, err)
			require.Equal(t, 7, version)
			raw, err := encoding.DecodeString(payload)
			require.NoError(t, err)
			require.NoError(t, mldsa.Verify(public.(*mldsa.PublicKey), []byte("text"), raw, nil), name)
			seen[string(raw)] = true
			valid, err := c.Verify(t.Context(), []byte("another text"), payload, p)
			require.NoError(t, err)
			require.False(t, valid)
		}
		require.Len(t, seen, 3, "randomness is in each signature")
		_, err = c.Verify(t.Context(), nil, "!", envelope.SignParams{})
		require.ErrorIs(t, err, envelope.ErrInput)
		_, err = c.Encrypt(t.Context(), "dGV4dA==", envelope.Params{})
		require.EqualError(t, err, "message encryption not supported for key type "+string(l.algorithm))

		alone, err := envelope.NewVerifier(spec, 7, m.Public())
		require.NoError(t, err)
		_, err = alone.Sign(t.Context(), []byte("text"), envelope.SignParams{})
		require.ErrorIs(t, err, envelope.ErrInput)
		shown, err := envelope.FormatPublic(m.Public())
		require.NoError(t, err)
		require.Contains(t, shown, "BEGIN PUBLIC KEY")
	}
}

func TestMLDSAKeysOfAnotherSetMakeNoCipher(t *testing.T) {
	_, err := envelope.NewCipher(envelope.Spec{Algorithm: envelope.MLDSA65}, 1, keyPair(t, envelope.MLDSA44), rand.Reader)
	require.ErrorIs(t, err, envelope.ErrInternal)
}
