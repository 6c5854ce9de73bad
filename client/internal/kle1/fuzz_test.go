// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// FuzzParse holds that a message which is read is written the same, and that both readers of headers agree.
func FuzzParse(f *testing.F) {
	k := newKey(f, material)
	f.Add(seal(f, k, "4111111111111111", row))
	f.Add(writeStream(f, k, pattern(10), file))
	f.Add(framed(1, "", "vault:v1:A", make([]byte, 32), make([]byte, 28)))
	f.Add([]byte("KLE1\x01\xff\xff"))
	f.Fuzz(func(t *testing.T, message []byte) {
		m, err := kle1.Parse(message)
		h, headErr := kle1.ReadHeader(bytes.NewReader(message))
		if err != nil {
			require.Equal(t, kle1.ErrInvalidMessage, err)
			require.Zero(t, m)
			if text, textErr := kle1.FromText(message); textErr == nil {
				require.Equal(t, string(message), kle1.Text(text))
			}
			return
		}
		require.NoError(t, headErr)
		require.Equal(t, m.Header, h)
		again, err := kle1.Rewrapped(message, string(m.EDK))
		require.NoError(t, err)
		require.Equal(t, message, again)
		if m.Suite == kle1.Field {
			back, err := kle1.FromText([]byte(kle1.Text(message)))
			require.NoError(t, err)
			require.Equal(t, message, back)
		}
	})
}

// FuzzOpen holds that a message opens to what was sealed or not at all, whichever bytes were changed.
func FuzzOpen(f *testing.F) {
	k := newKey(f, material)
	message, stream := seal(f, k, "4111111111111111", row), writeStream(f, k, pattern(10), row)
	f.Add(uint16(0), []byte("KLE2"), "row", "17")
	f.Add(uint16(8), []byte("others"), "row", "17")
	f.Add(uint16(140), []byte{0}, "row", "17")
	f.Add(uint16(0), []byte{}, "x", "")
	f.Fuzz(func(t *testing.T, at uint16, patch []byte, name, value string) {
		c := kle1.Context{"table": "cards", name: value}
		for _, sealed := range [][]byte{message, stream} {
			altered := bytes.Clone(sealed)
			copy(altered[int(at)%len(altered):], patch)
			opened, err := open(k, altered, c)
			want := "4111111111111111"
			if altered[4] == byte(kle1.Stream) {
				opened, err = readStream(k, bytes.NewReader(altered), c)
				want = string(pattern(10))
			}
			if err != nil {
				require.Empty(t, opened)
				continue
			}
			require.Equal(t, want, string(opened))
			require.Equal(t, row, c)
		}
	})
}
