// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// TestPairsOnATokenOfSoftHSM goes all the way to a library in C, with all that signs and makes MACs.
func TestPairsOnATokenOfSoftHSM(t *testing.T) {
	fixture := hsmtest.SoftHSM(t)
	m := mounttest.New(t)
	host, err := tokens.FromEnvironment(func(name string) string {
		return map[string]string{tokens.LibrariesEnv: "softhsm=" + fixture.Library}[name]
	})
	require.NoError(t, err)
	m.Options.Tokens = host
	m.Restart()
	m.Must(m.Write("config/hsm", "library", "softhsm", "token_label", fixture.Label, "pin", fixture.PIN))
	input := mounttest.B64("input")
	made := map[string]string{}
	for _, kind := range append(signing, "rsa-3072", "rsa-4096") {
		m.Must(m.Write("keys/"+kind, "type", kind, "protection", "hsm"))
		for _, hash := range hashesOf(kind) {
			for _, scheme := range []string{"pss", "pkcs1v15"} {
				how := []any{"input", input, "hash_algorithm", hash, "marshaling_algorithm", "jws", "signature_algorithm", scheme}
				made[kind] = m.Must(m.Write("sign/"+kind, how...)).Data["signature"].(string)
				require.Equal(t, true, m.Must(m.Write("verify/"+kind, append(how, "signature", made[kind])...)).Data["valid"], "%s %s", kind, hash)
			}
		}
		m.Must(m.Write("keys/" + kind + "/csr"))
		m.Must(m.Write("keys/"+kind+"/config", "deletion_allowed", true))
	}
	m.Refused(m.Write("encrypt/rsa-2048", "plaintext", input), `padding_scheme: "oaep"`, "does not decrypt")
	sealed := m.Must(m.Write("encrypt/rsa-2048", "plaintext", input, "padding_scheme", "pkcs1v15")).Data["ciphertext"]
	require.Equal(t, input, m.Must(m.Write("decrypt/rsa-2048", "ciphertext", sealed, "padding_scheme", "pkcs1v15")).Data["plaintext"])
	m.Must(m.Write("keys/mac", "type", "hmac", "protection", "hsm"))
	mac := m.Must(m.Write("hmac/mac", "input", input)).Data["hmac"]
	require.Equal(t, true, m.Must(m.Write("verify/mac", "input", input, "hmac", mac)).Data["valid"])
	m.Refused(m.Write("hmac/mac/sha3-512", "input", input), "CKM_SHA3_512_HMAC")
	m.Must(m.Write("keys/mac/config", "deletion_allowed", true))
	for kind := range made {
		m.Must(m.Delete("keys/" + kind))
	}
	m.Must(m.Delete("keys/mac"))
	m.Advance(2 * time.Minute)
	m.Must(m.Write("config/hsm", "enabled", false)) // nothing is left on the token
	m.Cleanup(context.Background())
}

// TestAKeyOnATokenOfSoftHSM goes all the way to a library in C.
func TestAKeyOnATokenOfSoftHSM(t *testing.T) {
	fixture := hsmtest.SoftHSM(t)
	host := func() *tokens.Host {
		h, err := tokens.FromEnvironment(func(name string) string {
			return map[string]string{tokens.LibrariesEnv: "softhsm=" + fixture.Library}[name]
		})
		require.NoError(t, err)
		return h
	}
	m := mounttest.New(t)
	start := func() {
		m.Options.Tokens = host()
		m.Restart()
	}
	start()
	defer func() { m.Cleanup(context.Background()) }()
	m.Must(m.Write("config/hsm", "library", "softhsm", "token_label", fixture.Label, "pin", fixture.PIN))
	m.Must(m.Write("keys/k", "protection", "hsm"))
	m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	first := m.Encrypt("k", "first")
	m.Must(m.Write("keys/k/rotate"))
	second := m.Encrypt("k", "second")
	m.Cleanup(context.Background())
	start()
	require.Equal(t, "first", m.Decrypt("k", first))
	require.Equal(t, "second", m.Decrypt("k", second))
	m.Refused(m.Write("decrypt/k", "ciphertext", "vault:v2:"+first[len("vault:v1:"):]), "authentication")
	m.Must(m.Write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 2))
	m.Must(m.Write("keys/k/trim", "min_available_version", 2))
	require.Equal(t, "second", m.Decrypt("k", second))
	m.Must(m.Delete("keys/k"))
	m.Advance(2 * time.Minute)
	m.Must(m.Write("config/hsm", "enabled", false)) // nothing is left on the token
}
