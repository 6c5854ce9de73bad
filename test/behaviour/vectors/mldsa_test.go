// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vectors_test

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"testing"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/test/wycheproof"
)

// lattices are the keys of ML-DSA that NIST's ACVP server made of seeds, and signatures of Project Wycheproof.
type lattices struct {
	Keys []struct {
		Set      string
		Seed, PK wycheproof.Hex
	}
	Signatures []struct {
		Set, Comment, Result string
		PK, Msg, Sig         wycheproof.Hex
	}
}

var (
	sets  = map[string]mldsa.Parameters{"ML-DSA-44": mldsa.MLDSA44(), "ML-DSA-65": mldsa.MLDSA65(), "ML-DSA-87": mldsa.MLDSA87()}
	kinds = map[string]string{"ML-DSA-44": "mldsa-44", "ML-DSA-65": "mldsa-65", "ML-DSA-87": "mldsa-87"}
)

func readLattices(t *testing.T) (v lattices) {
	t.Helper()
	raw, err := os.ReadFile("../../../internal/envelope/testdata/mldsa.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

func publicPEM(t *testing.T, set string, raw []byte) (text string, ok bool) {
	t.Helper()
	public, err := mldsa.NewPublicKey(sets[set], raw)
	if err != nil {
		return "", false
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), true
}

func TestPostQuantumKeysOfSeedsAreThoseOfNIST(t *testing.T) {
	m := newImporter(t)
	for _, v := range readLattices(t).Keys {
		private, err := mldsa.NewPrivateKey(sets[v.Set], v.Seed)
		require.NoError(t, err)
		der, err := x509.MarshalPKCS8PrivateKey(private)
		require.NoError(t, err)
		name := m.imported("type", kinds[v.Set], "ciphertext", m.Wrapped(der))
		public, ok := publicPEM(t, v.Set, v.PK)
		require.True(t, ok)
		shown, err := json.Marshal(m.Must(m.Read("keys/" + name)).Data["keys"])
		require.NoError(t, err)
		quoted, err := json.Marshal(public)
		require.NoError(t, err)
		require.Contains(t, string(shown), `"public_key":`+string(quoted))

		text := mounttest.B64("text")
		signed := m.Must(m.Write("sign/"+name, "input", text)).Data["signature"]
		alone := m.imported("type", kinds[v.Set], "public_key", public)
		require.Equal(t, true, m.Must(m.Write("verify/"+alone, "input", text, "signature", signed)).Data["valid"])
		refused := m.Write("sign/"+alone, "input", text)
		require.Equal(t, 500, refused.Status, "Transit's status of what cannot be signed")
		require.Contains(t, refused.Err, "does not contain a private part")
	}
	private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), make([]byte, 32))
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	refused := m.Write("keys/other/import", "type", "mldsa-65", "ciphertext", m.Wrapped(der))
	require.Equal(t, 500, refused.Status, "Transit's status of another key than the type says")
	require.Contains(t, refused.Err, "expected mldsa-65, got ML-DSA-44")
}

func TestPostQuantumSignaturesVerifyAsWycheproofSays(t *testing.T) {
	m := newImporter(t)
	count := map[string]int{}
	for _, v := range readLattices(t).Signatures {
		public, ok := publicPEM(t, v.Set, v.PK)
		if !ok {
			require.Equal(t, "invalid", v.Result)
			continue
		}
		name := m.imported("type", kinds[v.Set], "public_key", public)
		item := mounttest.Data("input", b64(v.Msg), "signature", "vault:v1:"+b64(v.Sig))
		require.Equal(t, v.Result == "valid", m.verdicts("verify/"+name, []any{item})[0], "%s: %s", v.Set, v.Comment)
		count[v.Result]++
	}
	require.Positive(t, count["valid"])
	require.Positive(t, count["invalid"])
}
