// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

const edk = "vault:v3:1yazmAc2BWxczpAO0yoTQE20sJlCWjLrqXW3Ickf7XP3Lyb6cGBI5enVcakbsmQbEA4GN6Trt6U2y//Q"

var (
	material = bytes.Repeat([]byte{7}, kle1.KeySize)
	row      = kle1.Context{"table": "cards", "row": "17"}
)

func newKey(t testing.TB, material []byte) *kle1.DataKey {
	t.Helper()
	k, err := kle1.New("orders", edk, material)
	require.NoError(t, err)
	return k
}

func seal(t testing.TB, k *kle1.DataKey, plaintext string, c kle1.Context) []byte {
	t.Helper()
	message, err := k.Seal([]byte(plaintext), c)
	require.NoError(t, err)
	return message
}

// open is all that happens to a message in one piece.
func open(k *kle1.DataKey, message []byte, c kle1.Context) ([]byte, error) {
	m, err := kle1.Parse(message)
	if err != nil {
		return nil, err
	}
	return k.Open(m, c)
}

func writeStream(t testing.TB, k *kle1.DataKey, plaintext []byte, c kle1.Context) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := k.NewWriter(&out, c)
	require.NoError(t, err)
	_, err = w.Write(plaintext)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func readStream(k *kle1.DataKey, r io.Reader, c kle1.Context) ([]byte, error) {
	h, err := kle1.ReadHeader(r)
	if err != nil {
		return nil, err
	}
	plaintext, err := k.NewReader(h, r, c)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plaintext)
}

// pattern is a plaintext that vectors need not hold.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i % 251)
	}
	return p
}

func sortByName(v []vector) {
	slices.SortFunc(v, func(a, b vector) int { return strings.Compare(a.Name, b.Name) })
}
