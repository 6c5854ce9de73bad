// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// TestAWrongFieldDoesNotHideWhatExists: who may update but not create would be told 403 in place of what is wrong.
func TestAWrongFieldDoesNotHideWhatExists(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	m.must(m.write("policies/p", "owner", "o"))
	exists := func(path string, data map[string]any) bool {
		req := &logical.Request{Operation: logical.UpdateOperation, Path: path, Data: data, Storage: m.storage}
		found, exists, err := m.HandleExistenceCheck(context.Background(), req)
		require.NoError(t, err, "Vault logs it, with what it says of the field")
		require.True(t, found)
		return exists
	}
	for _, data := range []map[string]any{
		dataOf("key_version", 1.5), dataOf("key_version", 99999999999.0), dataOf("key_version", "one"), dataOf("convergent_encryption", 5.0),
		dataOf("plaintext", map[string]any{"a": "b"}), dataOf("plaintext", 1.5), dataOf("min_strength_bits", 1.5), dataOf("labels", 7.0),
		dataOf("policy", "a..b"), dataOf("name", "x"),
	} {
		require.True(t, exists("encrypt/k", data), data)
		require.True(t, exists("policies/p", data), data)
		require.False(t, exists("encrypt/new", data), data)
		require.False(t, exists("policies/new", data), data)
	}
	require.False(t, exists("encrypt/a..b", nil))
	require.False(t, exists("encrypt/"+strings.Repeat("n", 9000), nil))
}
