// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"context"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// BenchmarkRequest is the way of a request through the mount: routing, fields, cipher, answer.
func BenchmarkRequest(b *testing.B) {
	m := mounttest.New(b)
	m.Must(m.Write("keys/k"))
	text := mounttest.B64("thirty-two bytes of a plain text")
	ciphertext := m.Encrypt("k", "thirty-two bytes of a plain text")
	hundred := func(name, value string) []any {
		items := make([]any, 100)
		for i := range items {
			items[i] = mounttest.Data(name, value, "reference", "r")
		}
		return items
	}
	for _, c := range []struct {
		name, path string
		data       map[string]any
	}{
		{"Encrypt", "encrypt/k", mounttest.Data("plaintext", text)},
		{"Decrypt", "decrypt/k", mounttest.Data("ciphertext", ciphertext)},
		{"Rewrap", "rewrap/k", mounttest.Data("ciphertext", ciphertext)},
		{"Encrypt100", "encrypt/k", mounttest.Data("batch_input", hundred("plaintext", text))},
		{"Decrypt100", "decrypt/k", mounttest.Data("batch_input", hundred("ciphertext", ciphertext))},
		{"Rewrap100", "rewrap/k", mounttest.Data("batch_input", hundred("ciphertext", ciphertext))},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := m.HandleRequest(context.Background(), &logical.Request{Operation: logical.UpdateOperation, Path: c.path, Data: c.data, Storage: m.Storage})
				require.NoError(b, err)
			}
		})
	}
}
