// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package signing_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// TestWhatWasErasedIsNotImported: a version whose public half alone was imported gets its private one until the policy has those erased.
func TestWhatWasErasedIsNotImported(t *testing.T) {
	m := mounttest.NewForImports(t)
	m.Must(m.Write("policies/p", "owner", "tests", "erase_private_key", true, "rollback_window", "24h", "min_versions_kept", 1, "quiet_period", "0s"))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	m.Must(m.Write("keys/k/import", "type", "ecdsa-p256", "public_key", public, "policy", "p", "allow_rotation", true))
	m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
	require.NoError(t, m.Tick())
	m.Pass(25 * time.Hour)
	m.Advance(2 * time.Minute)
	require.Equal(t, 2, m.Storage.Key("k").PrivateFrom)
	m.Storage.Reset()
	m.Refused(m.Write("keys/k/import_version", "ciphertext", m.Wrapped(private), "version", 1, "reason", "because of a test"),
		"version 1", "private halves of versions before version 2 were erased")
	require.Zero(t, m.Storage.Reset().Writes())
	mounttest.RequireCustodyWhole(t, m)
}
