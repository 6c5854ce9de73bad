// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package imports_test

import (
	"encoding/pem"
	"testing"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// outsideLattice is a key of ML-DSA as it is wrapped, and its public half.
func outsideLattice(t *testing.T, set mldsa.Parameters) (private []byte, public string) {
	t.Helper()
	key, err := mldsa.GenerateKey(set)
	require.NoError(t, err)
	private, err = x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.PublicKey())
	require.NoError(t, err)
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestAKeyOfMLDSAIsImportedAndMovesOn(t *testing.T) {
	for kind, set := range map[string]mldsa.Parameters{"mldsa-44": mldsa.MLDSA44(), "mldsa-65": mldsa.MLDSA65(), "mldsa-87": mldsa.MLDSA87()} {
		m, text := mounttest.NewForImports(t), mounttest.B64("x")
		private, public := outsideLattice(t, set)
		m.Must(m.Write("keys/k/import", "type", kind, "public_key", public, "exportable", true))
		require.Contains(t, m.Write("sign/k", "input", text).Err, "private part")
		m.Must(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(private), "version", 1))
		signature := m.Must(m.Write("sign/k", "input", text)).Data["signature"]

		there := mounttest.NewForImports(t)
		wrapping := there.Must(there.Read("wrapping_key")).Data["public_key"]
		m.Must(m.Write("keys/there/import", "type", "rsa-4096", "public_key", wrapping))
		wrapped := m.Must(m.Read("byok-export/there/k")).Data["keys"].(map[string]string)["1"]
		there.Must(there.Write("keys/k/import", "type", kind, "ciphertext", wrapped))
		require.Equal(t, true, there.Must(there.Write("verify/k", "input", text, "signature", signature)).Data["valid"])
		require.Equal(t, m.Must(m.Read("keys/k/jwks")).Data, there.Must(there.Read("keys/k/jwks")).Data)
		answer := there.Write("keys/other/import", "type", "ed25519", "ciphertext", wrapped)
		require.Equal(t, 500, answer.Status)
		require.Contains(t, answer.Err, "invalid key type: expected ed25519, got "+set.String())
	}
}

func TestAnImportTakesTheFieldsOfANewKey(t *testing.T) {
	m := mounttest.NewForImports(t)
	private, _ := outsideLattice(t, mldsa.MLDSA65())
	wrapped := m.Wrapped(private)
	m.Must(m.Write("keys/k/import", "type", "ml-dsa", "parameter_set", "65", "ciphertext", wrapped, "allowed_uses", "verify"))
	require.Equal(t, "65", m.Must(m.Read("keys/k")).Data["parameter_set"])
	require.Contains(t, m.Write("sign/k", "input", mounttest.B64("x")).Err, "[use_not_allowed]")
	for _, wrong := range [][]any{
		{"type", "ml-dsa", "parameter_set", "66"}, {"type", "ed25519", "parameter_set", "65"}, {"type", "mldsa-65", "allowed_uses", "encrypt"}, {"type", "mldsa-65", "allowed_uses", "x"},
	} {
		answer := m.Write("keys/other/import", append(wrong, "ciphertext", wrapped)...)
		require.Equal(t, 400, answer.Status, "%v: %s", wrong, answer.Err)
		require.Contains(t, answer.Err, wrong[2])
		require.Equal(t, 404, m.Read("keys/other").Status)
	}
}

func TestACertificateChainIsExported(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "rsa-2048"))
	public := m.Must(m.Read("export/public-key/k")).Data["keys"].(map[string]any)["1"].(string)
	chain := mounttest.Certified(t, public)
	m.Must(m.Write("keys/k/set-certificate", "certificate_chain", chain))
	for _, path := range []string{"export/certificate-chain/k", "export/certificate-chain/k/1"} {
		require.Equal(t, map[string]any{"1": chain}, m.Must(m.Read(path)).Data["keys"])
	}
	m.Must(m.Write("keys/k/rotate"))
	for _, path := range []string{"export/certificate-chain/k", "export/certificate-chain/k/2"} {
		answer := m.Read(path)
		require.Equal(t, 500, answer.Status, "as in Transit, also where another version has one")
		require.Contains(t, answer.Err, "does not have a certificate chain imported")
	}
}
