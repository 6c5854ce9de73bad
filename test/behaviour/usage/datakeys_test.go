// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package usage_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

type pair struct {
	Ciphertext string  `json:"ciphertext"`
	Plaintext  *string `json:"plaintext"`
}

func pairsOf(t *testing.T, a mounttest.Answer) (pairs []pair) {
	t.Helper()
	raw, err := json.Marshal(a.Data["key_pairs"])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &pairs))
	return pairs
}

func TestManyDataKeysComeInOneCall(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "derived", true))
	m.Must(m.Write("keys/k/rotate"))
	with := []any{"count", 1024, "bits", 128, "context", mounttest.B64("tenant"), "associated_data", mounttest.B64("row")}
	answer := m.Must(m.Write("datakeys/plaintext/k", with...))
	require.Equal(t, 2, answer.Data["key_version"])
	seen := map[string]bool{}
	for _, p := range pairsOf(t, answer) {
		require.NotNil(t, p.Plaintext)
		key, err := base64.StdEncoding.DecodeString(*p.Plaintext)
		require.NoError(t, err)
		require.Len(t, key, 16)
		seen[string(key)] = true
	}
	require.Len(t, seen, 1024, "each is another key")
	first := pairsOf(t, answer)[0]
	opened := m.Must(m.Write("decrypt/k", "ciphertext", first.Ciphertext, "context", mounttest.B64("tenant"), "associated_data", mounttest.B64("row")))
	require.Equal(t, *first.Plaintext, opened.Data["plaintext"])

	for _, p := range pairsOf(t, m.Must(m.Write("datakeys/wrapped/k", append(with, "key_version", 1)...))) {
		require.Nil(t, p.Plaintext)
		require.Equal(t, 1, mounttest.VersionOf(p.Ciphertext))
	}
}

func TestACallForManyDataKeysIsRefusedAsAWhole(t *testing.T) {
	m := metered(t, "max_encryptions", 4, "on_limit", "block")
	for _, count := range []any{nil, 0, -1, 1025} {
		m.Refused(m.Write("datakeys/plaintext/k", "count", count), "count: ", "must be from 1 to 1024")
	}
	m.Refused(m.Write("datakeys/plaintext/none", "count", 2), "none")
	m.Refused(m.Write("datakeys/plain/k", "count", 2), "Invalid path")
	m.Refused(m.Write("datakeys/plaintext/k", "count", 2, "bits", 100), "bits: 100")
	m.Refused(m.Write("datakeys/plaintext/k", "count", 2, "key_version", 2), "key_version 2")
	require.Equal(t, 500, m.Write("datakeys/plaintext/k", "count", 2, "nonce", mounttest.B64("nonce")).Status)
	require.Zero(t, counted(m, 1), "what is refused is not counted")

	refused := m.Write("datakeys/plaintext/k", "count", 5)
	m.Refused(refused, "it has no active version")
	require.Nil(t, refused.Data["key_pairs"])
}

func TestManyDataKeysAreCountedAsManyEncryptions(t *testing.T) {
	m := metered(t, "max_encryptions", 4)
	answer := m.Must(m.Write("datakeys/plaintext/k", "count", 10))
	done := map[int]int{}
	for _, p := range pairsOf(t, answer) {
		done[mounttest.VersionOf(p.Ciphertext)]++
		require.Equal(t, *p.Plaintext, m.Must(m.Write("decrypt/k", "ciphertext", p.Ciphertext)).Data["plaintext"])
	}
	require.Equal(t, map[int]int{1: 4, 2: 4, 3: 2}, done)
	require.Equal(t, 3, answer.Data["key_version"])
	require.EqualValues(t, 4, counted(m, 1))
	require.EqualValues(t, 2, counted(m, 3))
}

func TestManyDataKeysCostTheStorageCallsOfOneEncryption(t *testing.T) {
	m := metered(t)
	m.Encrypt("k", "warm")
	m.Restart()
	m.Storage.Reset()
	m.Must(m.Write("datakey/wrapped/k"))
	one := m.Storage.Reset()
	m.Restart()
	m.Storage.Reset()
	m.Must(m.Write("datakeys/wrapped/k", "count", 1000))
	require.Equal(t, one, m.Storage.Reset())
	m.Must(m.Write("datakeys/wrapped/k", "count", 24))
	require.Equal(t, storagetest.Counts{}, m.Storage.Reset(), "to the end of the lease")
}
