// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package imports_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// publicKey returns the public half of version 1 as the view of the key shows it.
func publicKey(t *testing.T, m *mounttest.Mount) string {
	t.Helper()
	data, err := json.Marshal(m.Must(m.Read("keys/k")).Data["keys"])
	require.NoError(t, err)
	var shown map[string]struct {
		Public string `json:"public_key"`
	}
	require.NoError(t, json.Unmarshal(data, &shown))
	return shown["1"].Public
}

func TestAVersionKeepsItsCertificate(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "ecdsa-p256"))
	first := mounttest.Certified(t, publicKey(t, m))
	m.Storage.Reset()
	m.Must(m.Write("keys/k/set-certificate", "certificate_chain", first, "reason", "from the authority"))
	require.Equal(t, storagetest.Counts{Gets: 2, Puts: 4}, m.Storage.Reset(), "key, version; custody, chain, record, custody")
	require.Equal(t, first, mounttest.CertificateChain(m, "k", 1))
	act := m.Storage.LastAct()
	require.Equal(t, "set-certificate", act["act"])
	require.Equal(t, "from the authority", act["reason"])

	m.Must(m.Write("keys/k/set-certificate", "certificate_chain", first))
	require.Zero(t, m.Storage.Reset().Writes(), "it is set")

	m.Must(m.Write("keys/k/rotate"))
	m.Restart()
	require.Equal(t, first, mounttest.CertificateChain(m, "k", 1))
	require.Empty(t, mounttest.CertificateChain(m, "k", 2))
	answer := m.Write("keys/k/set-certificate", "certificate_chain", first)
	require.Equal(t, 500, answer.Status, "it is one of version 1")
	require.Contains(t, answer.Err, "leaf certificate public key does not match")

	chains := 0
	for path := range m.Storage.All() {
		if strings.HasPrefix(path, "certificates/k/") {
			chains++
		}
	}
	require.Equal(t, 1, chains)
	m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	m.Must(m.Delete("keys/k"))
	mounttest.RequireNothingLeft(t, m)
}

func TestAPublicHalfMayHaveACertificateAndMakesNoRequest(t *testing.T) {
	m := mounttest.NewForImports(t)
	_, public := mounttest.OutsideRSA(t)
	m.Must(m.Write("keys/k/import", "type", "rsa-2048", "public_key", public))
	chain := mounttest.Certified(t, public)
	m.Must(m.Write("keys/k/set-certificate", "certificate_chain", chain))
	require.Equal(t, chain, mounttest.CertificateChain(m, "k", 1))
	m.Refused(m.Write("keys/k/csr"), "private key not imported")
}

func TestACertificateRequestIsAUseOfItsVersion(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "max_encryptions", 2, "on_limit", "block", "allowed_types", "ecdsa-p256"))
	m.Must(m.Write("keys/k", "type", "ecdsa-p256", "policy", "p"))
	m.Must(m.Write("keys/k/csr"))
	m.Must(m.Write("keys/k/csr"))
	m.Refused(m.Write("keys/k/csr"), "no active version")
	m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
	m.Must(m.Write("keys/k/csr"))
	m.Must(m.Write("keys/k/suspend", "reason", "stop all of it"))
	m.Refused(m.Write("keys/k/csr"), "key_suspended")
}
