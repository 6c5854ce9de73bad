// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// TestABodyOfTinkCanOpenUnderTwoContexts is why the commitment of a stream is of its context: whoever has the stream key
// makes one body that opens to two plaintexts, as Albertini et al. (2022) do for AES-GCM with two keys. Tink opens it under
// both contexts; a reader of the format under neither, whichever of the commitments the message has.
func TestABodyOfTinkCanOpenUnderTwoContexts(t *testing.T) {
	k := newKey(t, material)
	contexts := [2]kle1.Context{{"file": "invoice"}, {"file": "order"}}
	_, streamKey, _, _ := k.Derived(kle1.Stream, nil)
	// The associated data would be this if the commitment were of the data key alone.
	aads := [2][]byte{[]byte("KLE1\x02, one commitment, invoice"), []byte("KLE1\x02, one commitment, order")}
	plaintexts := openBoth(t, streamKey, bodyFor(t, streamKey, aads), aads)
	require.NotEqual(t, plaintexts[0], plaintexts[1])

	for i, c := range contexts {
		_, _, commitment, _ := k.Derived(kle1.Stream, c)
		_, _, _, aad0 := k.Derived(kle1.Stream, contexts[0])
		_, _, _, aad1 := k.Derived(kle1.Stream, contexts[1])
		message := framed(2, "orders", edk, commitment, bodyFor(t, streamKey, [2][]byte{aad0, aad1}))
		_, err := readStream(k, bytes.NewReader(message), c)
		require.NoError(t, err, "the message is of this context")
		_, err = readStream(k, bytes.NewReader(message), contexts[1-i])
		require.ErrorIs(t, err, kle1.ErrInvalidMessage)
	}
}

// openBoth opens a body with Tink alone.
func openBoth(t *testing.T, streamKey, body []byte, aads [2][]byte) (plaintexts [2]string) {
	t.Helper()
	stock, err := subtle.NewAESGCMHKDF(streamKey, "SHA256", 32, 1<<20, 0)
	require.NoError(t, err)
	for i, aad := range aads {
		r, err := stock.NewDecryptingReader(bytes.NewReader(body), aad)
		require.NoError(t, err)
		plaintext, err := io.ReadAll(r)
		require.NoError(t, err)
		plaintexts[i] = string(plaintext)
	}
	return plaintexts
}

// bodyFor makes a body of one segment, of two blocks, whose tag is right under both segment keys. The first block is free;
// the second is what makes the tags equal: with H the hash key, E the block that masks the tag and L the block of lengths,
//
//	C1 H^3 + C2 H^2 + L H + E = C1 H'^3 + C2 H'^2 + L H' + E'.
func bodyFor(t *testing.T, streamKey []byte, aads [2][]byte) []byte {
	t.Helper()
	salt, prefix := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 7)
	nonce := append(bytes.Clone(prefix), 0, 0, 0, 0, 1)
	c1, lengths := element(bytes.Repeat([]byte{3}, 16)), element(binary.BigEndian.AppendUint64(make([]byte, 8), 256))
	var sum, squares block
	var tagOf func(c2 block) block
	for _, aad := range aads {
		key, err := hkdf.Key(sha256.New, streamKey, salt, string(aad), 32)
		require.NoError(t, err)
		cipher, err := aes.NewCipher(key)
		require.NoError(t, err)
		h, mask := encrypted(cipher, make([]byte, 16)), encrypted(cipher, append(bytes.Clone(nonce), 0, 0, 0, 1))
		square := h.times(h)
		rest := c1.times(square).times(h).plus(lengths.times(h)).plus(mask)
		sum, squares = sum.plus(rest), squares.plus(square)
		tagOf = func(c2 block) block { return c2.times(square).plus(rest) }
	}
	c2 := sum.times(squares.inverse())
	body := append(append([]byte{40}, salt...), prefix...)
	for _, b := range []block{c1, c2, tagOf(c2)} {
		body = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(body, b[0]), b[1])
	}
	return body
}

// block is an element of the field of GCM (SP 800-38D, 6.3): the first bit is the coefficient of x^0.
type block [2]uint64

func element(b []byte) block {
	return block{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func encrypted(c cipher.Block, b []byte) block {
	out := make([]byte, 16)
	c.Encrypt(out, b)
	return element(out)
}

func (a block) plus(b block) block { return block{a[0] ^ b[0], a[1] ^ b[1]} }

func (a block) times(b block) (product block) {
	for i := range 128 {
		if a[i/64]>>(63-i%64)&1 == 1 {
			product = product.plus(b)
		}
		carry := b[1] & 1
		b = block{b[0] >> 1, b[1]>>1 | b[0]<<63}
		b[0] ^= carry * 0xe1 << 56
	}
	return product
}

// inverse is the power of 2^128 - 2.
func (a block) inverse() block {
	power := block{1 << 63, 0}
	for range 127 {
		a = a.times(a)
		power = power.times(a)
	}
	return power
}
