// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestAKeyWithLongNoncesDoesWhatOthersDo(t *testing.T) {
	m := mounttest.New(t)
	context, aad := mounttest.B64("tenant"), mounttest.B64("row")
	for name, derived := range map[string]bool{"plain": false, "derived": true} {
		view := m.Must(m.Write("keys/"+name, "type", "xchacha20-poly1305", "derived", derived)).Data
		require.Equal(t, true, view["supports_encryption"])
		require.Equal(t, true, view["supports_derivation"])
		require.Equal(t, false, view["supports_signing"])
		with := []any{"context", context, "associated_data", aad}
		sealed := m.Must(m.Write("encrypt/"+name, append(with, "plaintext", mounttest.B64("text"))...)).Data["ciphertext"].(string)
		raw, err := base64.StdEncoding.DecodeString(sealed[len("vault:v1:"):])
		require.NoError(t, err)
		require.Len(t, raw, 24+len("text")+16)

		m.Must(m.Write("keys/" + name + "/rotate"))
		again := m.Must(m.Write("rewrap/"+name, append(with, "ciphertext", sealed)...)).Data
		require.Equal(t, 2, again["key_version"])
		for _, ciphertext := range []any{sealed, again["ciphertext"]} {
			require.Equal(t, mounttest.B64("text"), m.Must(m.Write("decrypt/"+name, append(with, "ciphertext", ciphertext)...)).Data["plaintext"])
			m.Refused(m.Write("decrypt/"+name, "context", context, "ciphertext", ciphertext), "cipher: message authentication failed")
		}
	}
	m.Refused(m.Write("encrypt/derived", "plaintext", mounttest.B64("text")), "missing 'context' for key derivation")
}

func TestAKeyWithLongNoncesIsNotConvergent(t *testing.T) {
	m := mounttest.New(t)
	for _, path := range []string{"keys/k", "encrypt/k"} {
		m.Refused(m.Write(path, "type", "xchacha20-poly1305", "derived", true, "convergent_encryption", true, "context", mounttest.B64("tenant"), "plaintext", ""),
			"convergent_encryption: true: key type xchacha20-poly1305 has no convergent encryption")
	}
	require.Empty(t, m.Storage.All())
}
