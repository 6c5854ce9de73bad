// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// Each benchmark runs our path and keysutil's side by side, so that their ratio can be read from one
// run on whatever machine.

func BenchmarkEncrypt64B(b *testing.B) { benchEncrypt(b, 64) }
func BenchmarkEncrypt4K(b *testing.B)  { benchEncrypt(b, 4096) }
func BenchmarkDecrypt64B(b *testing.B) { benchDecrypt(b, 64) }
func BenchmarkDecrypt4K(b *testing.B)  { benchDecrypt(b, 4096) }

func benchEncrypt(b *testing.B, size int) {
	p := newPair(b, envelope.Spec{Algorithm: envelope.AES256GCM96}, 1)
	plaintext := b64(make([]byte, size))
	bench(b, size, p.encrypt, plaintext)
}

func benchDecrypt(b *testing.B, size int) {
	p := newPair(b, envelope.Spec{Algorithm: envelope.AES256GCM96}, 1)
	ciphertext, err := p.encrypt[theirs](b64(make([]byte, size)), envelope.Params{})
	require.NoError(b, err)
	bench(b, size, p.decrypt, ciphertext)
}

func bench(b *testing.B, size int, sides map[string]func(string, envelope.Params) (string, error), text string) {
	for _, name := range []string{ours, theirs} {
		act := sides[name]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := act(text, envelope.Params{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
