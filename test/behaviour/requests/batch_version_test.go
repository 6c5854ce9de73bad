// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestItemsThatNameNoVersionHaveTheOneOfTheirBatch(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	sealed := m.Encrypt("k", "x")
	m.K.RotateTo(3)
	versions := func(path, field string, value any) (got []int) {
		t.Helper()
		item := func(kv ...any) map[string]any { return mounttest.Data(append(kv, field, value)...) }
		items := []any{item(), item("key_version", nil), item("key_version", 0), item("key_version", 1)}
		for _, row := range mounttest.Rows(t, m.Must(m.Write(path, "key_version", 2, "batch_input", items))) {
			require.Empty(t, row.Error)
			require.Equal(t, row.KeyVersion, mounttest.VersionOf(row.Ciphertext))
			got = append(got, row.KeyVersion)
		}
		return got
	}
	require.Equal(t, []int{2, 2, 3, 1}, versions("encrypt/k", "plaintext", mounttest.B64("x")))
	require.Equal(t, []int{2, 2, 3, 1}, versions("rewrap/k", "ciphertext", sealed))

	items := []any{mounttest.Data("ciphertext", sealed)}
	m.Must(m.Write("decrypt/k", "key_version", 9, "batch_input", items)) // the ciphertext names its version
	m.Must(m.Write("keys/k/config", "min_encryption_version", 3))
	require.Equal(t, 400, m.Write("encrypt/k", "key_version", 2, "batch_input", []any{mounttest.Data("plaintext", "")}).Status)
}
