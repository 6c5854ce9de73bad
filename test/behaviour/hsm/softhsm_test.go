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
