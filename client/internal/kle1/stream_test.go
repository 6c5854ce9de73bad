// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// The plaintext of a segment, and of the first, which shares its room with 40 bytes.
const (
	whole = 1<<20 - 16
	first = whole - 40
)

var file = kle1.Context{"file": "dump"}

func TestAStreamOpensToWhatWasWritten(t *testing.T) {
	k := newKey(t, material)
	for _, n := range []int{0, 1, first - 1, first, first + 1, first + whole, first + whole + 1} {
		stream := writeStream(t, k, pattern(n), file)
		opened, err := readStream(k, bytes.NewReader(stream), file)
		require.NoError(t, err)
		require.True(t, bytes.Equal(pattern(n), opened), "%d bytes", n)
		opened, err = readStream(k, bytes.NewReader(stream), row)
		require.ErrorIs(t, err, kle1.ErrInvalidMessage)
		require.Empty(t, opened)
	}
}

func TestTinkAloneOpensTheBodyOfAStream(t *testing.T) {
	k := newKey(t, material)
	m, err := kle1.Parse(writeStream(t, k, pattern(first+5), file))
	require.NoError(t, err)
	_, key, _, aad := k.Derived(kle1.Stream, file)
	stock, err := subtle.NewAESGCMHKDF(key, "SHA256", 32, 1<<20, 0)
	require.NoError(t, err)
	r, err := stock.NewDecryptingReader(bytes.NewReader(m.Body), aad)
	require.NoError(t, err)
	opened, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(pattern(first+5), opened))
}

// segmentsOf takes a stream apart: what is before the first segment, and the segments.
func segmentsOf(t *testing.T, stream []byte) (head []byte, segments [][]byte) {
	t.Helper()
	m, err := kle1.Parse(stream)
	require.NoError(t, err)
	at := len(stream) - len(m.Body) + 40
	head, rest := stream[:at], stream[at:]
	for size := 1<<20 - 40; len(rest) > size; size = 1 << 20 {
		segments, rest = append(segments, rest[:size]), rest[size:]
	}
	return head, append(segments, rest)
}

func TestSegmentsStayWhereTheyAre(t *testing.T) {
	k := newKey(t, material)
	head, s := segmentsOf(t, writeStream(t, k, pattern(first+3*whole), file))
	require.Len(t, s, 4)
	for name, order := range map[string][][]byte{
		"last one missing": s[:3], "one cut out": {s[0], s[2], s[3]}, "two swapped": {s[0], s[2], s[1], s[3]}, "one repeated": {s[0], s[1], s[1], s[2], s[3]},
		"last one repeated": {s[0], s[1], s[2], s[3], s[3]}, "last one cut": {s[0], s[1], s[2], s[3][:100]}, "last one empty": {s[0], s[1], s[2], nil},
		"a byte more": {s[0], s[1], s[2], s[3], {0}}, "first one missing": s[1:], "none": nil,
	} {
		altered := bytes.Clone(head)
		for _, segment := range order {
			altered = append(altered, segment...)
		}
		opened, err := readStream(k, bytes.NewReader(altered), file)
		require.ErrorIs(t, err, kle1.ErrInvalidMessage, name)
		require.True(t, bytes.HasPrefix(pattern(first+3*whole), opened), name)
	}
}

func TestNoByteOfAStreamsBodyMayChange(t *testing.T) {
	k := newKey(t, material)
	stream := writeStream(t, k, pattern(100), file)
	from := len(stream) - 100 - 16 - 40 - 32 // the commitment
	for at := from; at < len(stream); at++ {
		altered := bytes.Clone(stream)
		altered[at] ^= 1
		_, err := readStream(k, bytes.NewReader(altered), file)
		require.ErrorIs(t, err, kle1.ErrInvalidMessage, "byte %d", at)
	}
	for n := range stream {
		_, err := readStream(k, bytes.NewReader(stream[:n]), file)
		require.ErrorIs(t, err, kle1.ErrInvalidMessage, "%d bytes", n)
	}
}

func TestASuiteIsNotTakenForTheOther(t *testing.T) {
	k := newKey(t, material)
	field, stream := seal(t, k, "a plaintext of some forty bytes, and more", file), writeStream(t, k, pattern(10), file)
	field[4], stream[4] = 2, 1
	_, err := readStream(k, bytes.NewReader(field), file)
	require.ErrorIs(t, err, kle1.ErrInvalidMessage)
	_, err = open(k, stream, file)
	require.ErrorIs(t, err, kle1.ErrInvalidMessage)
	field[4], stream[4] = 1, 2
	_, err = readStream(k, bytes.NewReader(field), file)
	require.ErrorIs(t, err, kle1.ErrInvalidMessage)
	_, err = open(k, stream, file)
	require.ErrorIs(t, err, kle1.ErrInvalidMessage)
}

// TestACommitmentOfAStreamIsOfItsContext: the commitments differ, so a body cannot be made to open under two contexts.
func TestACommitmentOfAStreamIsOfItsContext(t *testing.T) {
	k := newKey(t, material)
	_, _, a, _ := k.Derived(kle1.Stream, file)
	_, _, b, _ := k.Derived(kle1.Stream, row)
	_, _, c, _ := k.Derived(kle1.Field, file)
	require.NotEqual(t, a, b)
	require.NotEqual(t, a, c)
}

func TestAReaderThatFailsIsNoAlteredMessage(t *testing.T) {
	k := newKey(t, material)
	stream := writeStream(t, k, pattern(first+10), file)
	broken := errors.New("connection reset")
	for _, n := range []int{3, 100, len(stream) - 1<<20 - 30, len(stream) - 5} {
		opened, err := readStream(k, io.MultiReader(bytes.NewReader(stream[:n]), iotest.ErrReader(broken)), file)
		require.ErrorIs(t, err, broken, "%d bytes", n)
		require.True(t, bytes.HasPrefix(pattern(first+10), opened))
	}
	opened, err := readStream(k, iotest.OneByteReader(bytes.NewReader(stream)), file)
	require.NoError(t, err)
	require.Len(t, opened, first+10)
}

// TestAStreamIsCopied is what io.Copy does: segments go to the writer without a copy of their own.
func TestAStreamIsCopied(t *testing.T) {
	k := newKey(t, material)
	stream := writeStream(t, k, pattern(first+whole+9), file)
	copied := func(stream []byte, room int) (string, error) {
		r := bytes.NewReader(stream)
		h, err := kle1.ReadHeader(r)
		require.NoError(t, err)
		plaintext, err := k.NewReader(h, r, file)
		require.NoError(t, err)
		out := &full{room: room}
		n, err := io.Copy(struct{ io.Writer }{out}, plaintext)
		require.EqualValues(t, out.Len(), n)
		return out.String(), err
	}
	out, err := copied(stream, 1<<30)
	require.NoError(t, err)
	require.True(t, out == string(pattern(first+whole+9)))
	out, err = copied(stream[:len(stream)-1], 1<<30)
	require.ErrorIs(t, err, kle1.ErrInvalidMessage)
	require.True(t, out == string(pattern(first+whole)), "what came before was authenticated")
	out, err = copied(stream, first)
	require.ErrorIs(t, err, errFull)
	require.Len(t, out, first)
}

func TestAStreamThatFailedGoesOnFailing(t *testing.T) {
	k := newKey(t, material)
	stream := writeStream(t, k, pattern(10), file)
	stream[len(stream)-1] ^= 1
	r := bytes.NewReader(stream)
	h, err := kle1.ReadHeader(r)
	require.NoError(t, err)
	plaintext, err := k.NewReader(h, r, file)
	require.NoError(t, err)
	for range 3 {
		n, err := plaintext.Read(make([]byte, 100))
		require.ErrorIs(t, err, kle1.ErrInvalidMessage)
		require.Zero(t, n)
	}
}

// full takes so many bytes.
type full struct {
	bytes.Buffer
	room int
}

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if f.Len()+len(p) > f.room {
		return 0, errFull
	}
	return f.Buffer.Write(p)
}

// TestAStreamThatWasNotWrittenIsNotClosed: it would open to its beginning, as if that were all.
func TestAStreamThatWasNotWrittenIsNotClosed(t *testing.T) {
	k := newKey(t, material)
	out := &full{room: 1 << 20}
	w, err := k.NewWriter(out, file)
	require.NoError(t, err)
	_, err = w.Write(pattern(first + whole))
	require.ErrorIs(t, err, errFull)
	out.room = 1 << 30
	require.ErrorIs(t, w.Close(), errFull)
	_, err = w.Write([]byte("more"))
	require.ErrorIs(t, err, errFull)
	_, err = readStream(k, bytes.NewReader(out.Bytes()), file)
	require.ErrorIs(t, err, kle1.ErrInvalidMessage)

	_, err = k.NewWriter(&full{room: 10}, file)
	require.ErrorIs(t, err, errFull)
	_, err = k.NewWriter(&full{room: 200}, file)
	require.NoError(t, err)
	w, err = k.NewWriter(&full{room: 200}, file)
	require.NoError(t, err)
	_, err = w.Write(pattern(100))
	require.NoError(t, err)
	require.ErrorIs(t, w.Close(), errFull)
}

func BenchmarkStream(b *testing.B) {
	k, plaintext := newKey(b, material), pattern(16<<20)
	b.SetBytes(int64(len(plaintext)))
	for b.Loop() {
		w, _ := k.NewWriter(io.Discard, file)
		_, _ = w.Write(plaintext)
		_ = w.Close()
	}
}
