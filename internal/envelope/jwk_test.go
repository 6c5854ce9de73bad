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
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"filippo.io/mldsa"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

func unbase64URL(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	return raw
}

func webKeyOf(t *testing.T, public crypto.PublicKey) envelope.WebKey {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	j, err := envelope.WebKeyOf(der)
	require.NoError(t, err)
	return j
}

// RFC 7638, section 3.1.
func TestTheKeyIDIsTheThumbprintOfTheStandard(t *testing.T) {
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(unbase64URL(t, n)), E: 65537}
	want := envelope.WebKey{Type: "RSA", Modulus: n, Exponent: "AQAB", ID: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", Use: "sig"}
	require.Equal(t, want, webKeyOf(t, public))
}

// RFC 8037, appendices A.2 and A.3.
func TestAnEd25519KeyIsThatOfTheStandard(t *testing.T) {
	const x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	want := envelope.WebKey{Type: "OKP", Curve: "Ed25519", X: x, ID: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", Algorithm: "EdDSA", Use: "sig"}
	require.Equal(t, want, webKeyOf(t, ed25519.PublicKey(unbase64URL(t, x))))
}

// draft-ietf-cose-dilithium, the appendix on the JSON Web Key: the seed is all zero.
func TestAnMLDSAKeyIsThatOfTheStandard(t *testing.T) {
	private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), make([]byte, mldsa.PrivateKeySize))
	require.NoError(t, err)
	m, err := envelope.KeyPairOf(private, make([]byte, 32))
	require.NoError(t, err)
	j, err := envelope.WebKeyOf(m.Public())
	require.NoError(t, err)
	const id = "T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o"
	pub := base64.RawURLEncoding.EncodeToString(private.PublicKey().Bytes())
	require.Equal(t, envelope.WebKey{Type: "AKP", Algorithm: "ML-DSA-44", Lattice: pub, ID: id, Use: "sig"}, j)
	text, err := json.Marshal(j)
	require.NoError(t, err)
	require.JSONEq(t, `{"kty":"AKP","alg":"ML-DSA-44","pub":"`+pub+`","kid":"`+id+`","use":"sig"}`, string(text))

	for encoding, want := range map[envelope.Encoding][2]any{
		envelope.JWK: {
			map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": pub, "priv": strings.Repeat("A", 43)},
			map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": pub},
		},
		envelope.Raw: {base64.StdEncoding.EncodeToString(make([]byte, 32)), base64.StdEncoding.EncodeToString(private.PublicKey().Bytes())},
	} {
		key, err := envelope.MLDSA44.EncodeKey(m, encoding)
		require.NoError(t, err)
		public, err := envelope.EncodePublic(m.Public(), encoding)
		require.NoError(t, err)
		require.Equal(t, want, [2]any{key, public})
	}
}

// RFC 7517, appendix A.1.
func TestAnECKeyIsThatOfTheStandard(t *testing.T) {
	const x, y = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
	j := webKeyOf(t, &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(unbase64URL(t, x)), Y: new(big.Int).SetBytes(unbase64URL(t, y))})
	require.Equal(t, []string{"EC", "P-256", x, y, "ES256", "sig"}, []string{j.Type, j.Curve, j.X, j.Y, j.Algorithm, j.Use})
}

// A library that others verify with reads what we show, and finds the same thumbprint: many keys, so that coordinates that begin
// with a zero byte are among them.
func TestALibraryReadsTheKeys(t *testing.T) {
	for _, alg := range []envelope.Algorithm{envelope.Ed25519, envelope.ECDSAP256, envelope.ECDSAP384, envelope.ECDSAP521, envelope.RSA2048} {
		for range map[bool]int{true: 1, false: racetest.Size(t, 600)}[alg == envelope.RSA2048] {
			m, err := envelope.Generate(envelope.Spec{Algorithm: alg}, rand.Reader)
			require.NoError(t, err)
			j, err := envelope.WebKeyOf(m.Public())
			require.NoError(t, err)
			text, err := json.Marshal(j)
			require.NoError(t, err)
			var read jose.JSONWebKey
			require.NoError(t, read.UnmarshalJSON(text), "%s", text)
			require.True(t, read.Valid() && read.IsPublic())
			_, public, err := alg.KeyPair(m)
			require.NoError(t, err)
			require.Equal(t, public, read.Key)
			thumbprint, err := read.Thumbprint(crypto.SHA256)
			require.NoError(t, err)
			require.Equal(t, base64.RawURLEncoding.EncodeToString(thumbprint), j.ID)
			require.Equal(t, j.Algorithm, read.Algorithm)
		}
	}
}

func TestWhatIsNoPublicHalfIsNoKey(t *testing.T) {
	for _, der := range [][]byte{nil, {}, []byte("x"), {0x30, 0}} {
		_, err := envelope.WebKeyOf(der)
		require.ErrorIs(t, err, envelope.ErrInternal)
	}
}
