// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// Whichever way a text comes to a convergent key, its nonce is of the associated data too.
func TestAConvergentKeyGivesEqualTextsUnderTwoAssociatedDataTwoNonces(t *testing.T) {
	for _, kind := range []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305"} {
		m := mounttest.New(t)
		m.Must(m.Write("keys/c", "type", kind, "derived", true, "convergent_encryption", true))
		seal := func(path, aad string, kv ...any) string {
			return m.Must(m.Write(path, append(kv, "context", mounttest.B64("tenant"), "associated_data", mounttest.B64(aad))...)).Data["ciphertext"].(string)
		}
		nonce := func(ciphertext string) string { return ciphertext[len("vault:v1:") : len("vault:v1:")+16] }
		first, second := seal("encrypt/c", "row-1", "plaintext", mounttest.B64("x")), seal("encrypt/c", "row-2", "plaintext", mounttest.B64("x"))
		require.NotEqual(t, nonce(first), nonce(second))
		require.Equal(t, first, seal("rewrap/c", "row-1", "ciphertext", first))
		datakey := m.Must(m.Write("datakey/plaintext/c", "context", mounttest.B64("tenant"), "associated_data", mounttest.B64("row-1"))).Data
		require.NotEqual(t, nonce(datakey["ciphertext"].(string)), nonce(seal("encrypt/c", "row-2", "plaintext", datakey["plaintext"])))
		require.Equal(t, datakey["ciphertext"], seal("encrypt/c", "row-1", "plaintext", datakey["plaintext"]))
	}
}
