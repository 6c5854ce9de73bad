// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
)

// counter is a metric that costs as little as one can.
type counter struct{ n atomic.Int64 }

func (c *counter) Operation(client.Operation) { c.n.Add(1) }

func (c *counter) Request(context.Context, string, string) func(client.Outcome) {
	return func(client.Outcome) {}
}

func warm(t testing.TB) (key *client.Key, plaintext, message, text []byte) {
	t.Helper()
	key = newClient(t, newVault(t), func(c *client.Config) { c.Metrics = &counter{} }).Key("orders")
	plaintext = make([]byte, 64)
	message, err := key.Encrypt(t.Context(), plaintext, row)
	require.NoError(t, err)
	asText, err := key.EncryptText(t.Context(), plaintext, row)
	require.NoError(t, err)
	return key, plaintext, message, []byte(asText)
}

func TestWarmUsesTakeFewAllocations(t *testing.T) {
	key, plaintext, message, text := warm(t)
	ctx := t.Context()
	for name, use := range map[string]struct {
		most float64
		do   func() error
	}{
		"encrypt":      {2, func() error { _, err := key.Encrypt(ctx, plaintext, row); return err }}, // associated data, message
		"decrypt":      {2, func() error { _, err := key.Decrypt(ctx, message, row); return err }},   // associated data, plaintext
		"decrypt text": {3, func() error { _, err := key.Decrypt(ctx, text, row); return err }},      // and the binary form
	} {
		require.LessOrEqual(t, testing.AllocsPerRun(200, func() {
			if err := use.do(); err != nil {
				panic(err)
			}
		}), use.most, name)
	}
}

func BenchmarkEncrypt64(b *testing.B) {
	key, plaintext, _, _ := warm(b)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = key.Encrypt(ctx, plaintext, row)
	}
}

func BenchmarkDecrypt64(b *testing.B) {
	key, _, message, _ := warm(b)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = key.Decrypt(ctx, message, row)
	}
}

func BenchmarkParallel64(b *testing.B) {
	key, plaintext, message, _ := warm(b)
	ctx := b.Context()
	for name, use := range map[string]func() error{
		"encrypt": func() error { _, err := key.Encrypt(ctx, plaintext, row); return err },
		"decrypt": func() error { _, err := key.Decrypt(ctx, message, row); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = use()
				}
			})
		})
	}
}

// TestTenThousandDataKeysAreLessThan16MiB counts what stays: ciphers, EDKs, proofs and the table.
func TestTenThousandDataKeysAreLessThan16MiB(t *testing.T) {
	const n = 10_000
	vault := newVault(t)
	messages, another := make([][]byte, n), maker(t, vault.Client())
	for i := range messages {
		messages[i] = another()
	}
	c := newClient(t, vault, func(c *client.Config) { c.Timeout = 10 * time.Minute }) // for all of them, on any machine
	before := heap()
	_, err := c.Key("orders").DecryptMany(t.Context(), messages, row)
	require.NoError(t, err)
	grown := heap() - before
	require.Equal(t, n, c.Stats()[0].DataKeys)
	t.Logf("%d data keys: %d KiB", n, grown>>10)
	require.Less(t, grown, int64(16<<20))
	runtime.KeepAlive(messages)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
