// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

var testBinding = envelope.Binding{
	Instance: "instance", KeyID: "key", Version: 3, Algorithm: envelope.AES256GCM96, Purpose: "use",
}

func seal(t testing.TB, b envelope.Binding) []byte {
	t.Helper()
	blob, err := envelope.Seal(t.Context(), fixedWrapper{t}, testMaterial(), b, rand.Reader)
	require.NoError(t, err)
	return blob
}

func TestOpenGivesBackWhatWasSealed(t *testing.T) {
	big := envelope.NewMaterial(bytes.Repeat([]byte{7}, 60000), nil) // as large as a key comes, and more
	for _, m := range []envelope.Material{testMaterial(), envelope.NewMaterial([]byte{1}, nil), big} {
		blob, err := envelope.Seal(t.Context(), fixedWrapper{t}, m, testBinding, rand.Reader)
		require.NoError(t, err)
		got, err := envelope.Open(t.Context(), fixedWrapper{t}, blob, testBinding)
		require.NoError(t, err)
		require.True(t, m.Equal(got))
	}
}

func TestSealUsesAFreshKeyEachTime(t *testing.T) {
	one, other := seal(t, testBinding), seal(t, testBinding)
	require.NotEqual(t, one, other)
	require.NotEqual(t, one[6:18], other[6:18], "the fixed wrapper's nonce is a hash of the key")
}

func TestSealedBlobShowsNoKey(t *testing.T) {
	blob := string(seal(t, testBinding))
	require.NotContains(t, blob, string(testKey[:8]))
	require.NotContains(t, blob, string(testHMACKey[:8]))
}

func TestEveryFieldOfTheBindingMatters(t *testing.T) {
	for name, change := range map[string]func(*envelope.Binding){
		"instance":  func(b *envelope.Binding) { b.Instance = "Instance" },
		"key":       func(b *envelope.Binding) { b.KeyID = "other" },
		"version":   func(b *envelope.Binding) { b.Version++ },
		"algorithm": func(b *envelope.Binding) { b.Algorithm = envelope.ChaCha20Poly1305 },
		"purpose":   func(b *envelope.Binding) { b.Purpose = "archive" },
		"boundary":  func(b *envelope.Binding) { b.Instance, b.KeyID = "instancek", "ey" },
		"last two":  func(b *envelope.Binding) { b.Algorithm, b.Purpose = b.Algorithm+"u", "se" },
	} {
		other := testBinding
		change(&other)
		// With a wrapper that checks the binding, and with one that does not: the inner layer stands alone.
		for _, w := range []envelope.KeyWrapper{fixedWrapper{t}, carelessWrapper{}} {
			blob, err := envelope.Seal(t.Context(), w, testMaterial(), testBinding, rand.Reader)
			require.NoError(t, err)
			got, err := envelope.Open(t.Context(), w, blob, other)
			require.Equal(t, envelope.ErrCorrupt, err, name)
			require.True(t, got.Equal(envelope.Material{}), name)
		}
	}
}

// carelessWrapper neither wraps nor checks anything.
type carelessWrapper struct{}

func (carelessWrapper) Wrap(_ context.Context, dek, _ []byte) ([]byte, error) {
	return bytes.Clone(dek), nil
}

func (carelessWrapper) Unwrap(_ context.Context, wrapped, _ []byte) ([]byte, error) {
	return bytes.Clone(wrapped), nil
}

func TestAnIncompleteBindingIsRefused(t *testing.T) {
	blob := seal(t, testBinding)
	for name, change := range map[string]func(*envelope.Binding){
		"instance":         func(b *envelope.Binding) { b.Instance = "" },
		"key":              func(b *envelope.Binding) { b.KeyID = "" },
		"version":          func(b *envelope.Binding) { b.Version = 0 },
		"negative version": func(b *envelope.Binding) { b.Version = -3 },
		"algorithm":        func(b *envelope.Binding) { b.Algorithm = "" },
		"purpose":          func(b *envelope.Binding) { b.Purpose = "" },
	} {
		b := testBinding
		change(&b)
		_, err := envelope.Seal(t.Context(), fixedWrapper{t}, testMaterial(), b, rand.Reader)
		require.ErrorIs(t, err, envelope.ErrInternal, name)
		_, err = envelope.Open(t.Context(), fixedWrapper{t}, blob, b)
		require.ErrorIs(t, err, envelope.ErrInternal, name)
	}
}

func TestAChangeToAnyBitOfABlobIsNoticed(t *testing.T) {
	blob := seal(t, testBinding)
	for i := range blob {
		for bit := range 8 {
			damaged := bytes.Clone(blob)
			damaged[i] ^= 1 << bit
			_, err := envelope.Open(t.Context(), fixedWrapper{t}, damaged, testBinding)
			require.Equal(t, envelope.ErrCorrupt, err, "byte %d", i)
		}
	}
}

func TestABlobOfAnotherLengthIsCorrupt(t *testing.T) {
	blob := seal(t, testBinding)
	bad := [][]byte{nil, append(bytes.Clone(blob), 0), make([]byte, 70000), append([]byte("KLW1"), make([]byte, 70000)...)}
	for i := range blob {
		bad = append(bad, blob[:i])
	}
	for _, b := range bad {
		_, err := envelope.Open(t.Context(), fixedWrapper{t}, b, testBinding)
		require.Equal(t, envelope.ErrCorrupt, err, len(b))
	}
}

func TestOpenTakesAKeyOfTheRightSizeOnly(t *testing.T) {
	for _, size := range []int{0, 16, 24, 31, 33} {
		_, err := envelope.Open(t.Context(), answer{dek: make([]byte, size)}, seal(t, testBinding), testBinding)
		require.Equal(t, envelope.ErrCorrupt, err)
	}
}

// answer is a wrapper that answers with what it is told to.
type answer struct {
	wrapped, dek []byte
	err          error
}

func (a answer) Wrap(context.Context, []byte, []byte) ([]byte, error)   { return a.wrapped, a.err }
func (a answer) Unwrap(context.Context, []byte, []byte) ([]byte, error) { return a.dek, a.err }

func TestErrorsOfTheWrapperReachTheCaller(t *testing.T) {
	w := answer{err: errAway}
	_, err := envelope.Seal(t.Context(), w, testMaterial(), testBinding, rand.Reader)
	require.ErrorIs(t, err, errAway)
	_, err = envelope.Open(t.Context(), w, seal(t, testBinding), testBinding)
	require.ErrorIs(t, err, errAway)
	require.NotErrorIs(t, err, envelope.ErrCorrupt, "a wrapper that is away says nothing about the blob")
}

func TestSealRefusesWhatItCouldNotStore(t *testing.T) {
	for name, test := range map[string]struct {
		w envelope.KeyWrapper
		m envelope.Material
	}{
		"no material":              {fixedWrapper{t}, envelope.Material{}},
		"key too long to count":    {fixedWrapper{t}, envelope.NewMaterial(make([]byte, 1<<16), nil)},
		"HMAC key too long":        {fixedWrapper{t}, envelope.NewMaterial([]byte{1}, make([]byte, 1<<16))},
		"blob above 64 KiB":        {fixedWrapper{t}, envelope.NewMaterial(make([]byte, 65500), nil)},
		"no wrapped key":           {answer{}, testMaterial()},
		"wrapped key too long":     {answer{wrapped: make([]byte, 1<<16)}, testMaterial()},
		"wrapped key fills a blob": {answer{wrapped: make([]byte, 1<<16-1)}, testMaterial()},
	} {
		blob, err := envelope.Seal(t.Context(), test.w, test.m, testBinding, rand.Reader)
		require.ErrorIs(t, err, envelope.ErrInternal, name)
		require.Empty(t, blob, name)
	}
}

func TestSealNeedsAllItsRandomness(t *testing.T) {
	// 32 bytes of key and 12 of nonce are read.
	for _, source := range []io.Reader{strings.NewReader(""), strings.NewReader(strings.Repeat("x", 43)), iotest.ErrReader(errAway)} {
		blob, err := envelope.Seal(t.Context(), fixedWrapper{t}, testMaterial(), testBinding, source)
		require.ErrorIs(t, err, envelope.ErrInternal)
		require.Empty(t, blob)
	}
}

// fixedChance is as much as one Seal reads.
func fixedChance() io.Reader {
	return strings.NewReader("the data encryption key of tests" + "twelve bytes")
}

// The committed blob stands for what is in somebody's storage: it must open for ever, and is written
// the same way.
func TestSealKeepsItsFormat(t *testing.T) {
	raw, err := os.ReadFile("testdata/sealed.hex")
	require.NoError(t, err)
	stored, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	require.NoError(t, err)

	got, err := envelope.Open(t.Context(), fixedWrapper{t}, stored, testBinding)
	require.NoError(t, err)
	require.True(t, testMaterial().Equal(got))

	written, err := envelope.Seal(t.Context(), fixedWrapper{t}, testMaterial(), testBinding, fixedChance())
	require.NoError(t, err)
	require.Equal(t, stored, written)
}

func TestSealWorksWithTheWrapperOfHSM(t *testing.T) {
	w, err := hsm.NewSoftware([16]byte{1}, testKey, rand.Reader)
	require.NoError(t, err)
	blob, err := envelope.Seal(t.Context(), w, testMaterial(), testBinding, rand.Reader)
	require.NoError(t, err)
	got, err := envelope.Open(t.Context(), w, blob, testBinding)
	require.NoError(t, err)
	require.True(t, testMaterial().Equal(got))

	for i := range blob {
		damaged := bytes.Clone(blob)
		damaged[i] ^= 1
		_, err := envelope.Open(t.Context(), w, damaged, testBinding)
		missing := errors.Is(err, hsm.ErrKEKMissing) // the identifier of the wrapping key was hit
		require.True(t, missing || errors.Is(err, envelope.ErrCorrupt), "byte %d: %v", i, err)
	}
}

func FuzzOpen(f *testing.F) {
	blob, err := envelope.Seal(f.Context(), fixedWrapper{f}, testMaterial(), testBinding, fixedChance())
	require.NoError(f, err)
	f.Add(blob, 0, byte(0))
	for at := range blob {
		f.Add(blob, at, byte(1))
	}
	f.Add(blob[:20], 0, byte(0))
	f.Add([]byte("KLW1\xff\xff"), 5, byte(0x80))
	f.Fuzz(func(t *testing.T, in []byte, at int, mask byte) {
		in = bytes.Clone(in)
		if at >= 0 && at < len(in) {
			in[at] ^= mask
		}
		m, err := envelope.Open(t.Context(), fixedWrapper{t}, in, testBinding)
		if err == nil {
			require.True(t, testMaterial().Equal(m), "a forgery opened")
			return
		}
		require.Equal(t, envelope.ErrCorrupt, err)
	})
}
