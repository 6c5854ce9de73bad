// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

// counting fills with bytes that count, from a start that moves on with each call.
func counting() func(p []byte) {
	next := byte(0)
	return func(p []byte) {
		for i := range p {
			p[i] = next + byte(i)
		}
		next += 3
	}
}

func randomOf(t *testing.T, source hsm.RandomSource, policy hsm.RandomPolicy, os io.Reader, random func([]byte)) (*hsm.Random, *plainToken) {
	t.Helper()
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{Random: random}))
	r, err := hsm.NewRandom(source, policy, os, tok)
	require.NoError(t, err)
	return r, tok
}

func read(t *testing.T, r io.Reader, n int) []byte {
	t.Helper()
	out := make([]byte, n)
	_, err := io.ReadFull(r, out)
	require.NoError(t, err)
	return out
}

func TestOSRandomBytesAskTheTokenForNothing(t *testing.T) {
	r, tok := randomOf(t, hsm.RandomOS, hsm.RandomRequire, bytes.NewReader([]byte("0123456789")), nil)
	require.Equal(t, "0123456789", string(read(t, r.Reader(t.Context(), "dek"), 10)))
	require.Zero(t, tok.library.Calls(faketoken.GenerateRandom))
}

func TestRandomBytesOfTheTokenAreDrawnInChunksItTakes(t *testing.T) {
	var sizes []int
	fill := counting()
	r, _ := randomOf(t, hsm.RandomHSM, hsm.RandomRequire, brokenReader{}, func(p []byte) { sizes = append(sizes, len(p)); fill(p) })
	require.Len(t, read(t, r.Reader(t.Context(), "material"), 5000), 5000)
	require.Equal(t, []int{1024, 1024, 1024, 1024, 904}, sizes)
	sizes = nil
	reader := r.Reader(t.Context(), "nonce")
	read(t, reader, 1)
	read(t, reader, 12)
	require.Equal(t, []int{32}, sizes, "few bytes are drawn together")
}

func TestMixedRandomBytesAreHKDFOfBothSourcesAndOfThePurpose(t *testing.T) {
	fromOS, fromToken := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(fromOS)
	_, _ = rand.Read(fromToken)
	r, _ := randomOf(t, hsm.RandomMixed, hsm.RandomRequire, bytes.NewReader(fromOS), func(p []byte) { copy(p, fromToken) })
	want, err := hkdf.Key(sha256.New, append(bytes.Clone(fromOS), fromToken...), nil, "keylife/random/v1 dek", 100)
	require.NoError(t, err)
	require.Equal(t, want, read(t, r.Reader(t.Context(), "dek"), 100))
}

// constant are 32 bytes that are always the same, and not all alike.
func constant(p []byte) { copy(p, "32 bytes that are always the same") }

type constantReader struct{}

func (constantReader) Read(p []byte) (int, error) { constant(p); return len(p), nil }

func TestMixedRandomBytesAreGoodWhereEitherSourceIs(t *testing.T) {
	for name, sources := range map[string]struct {
		os    io.Reader
		token func([]byte)
	}{
		"the token repeats itself":            {rand.Reader, constant},
		"the operating system repeats itself": {constantReader{}, nil},
	} {
		r, _ := randomOf(t, hsm.RandomMixed, hsm.RandomRequire, sources.os, sources.token)
		seen := map[string]bool{}
		for range 20 {
			reader := r.Reader(t.Context(), "dek")
			for range 3 {
				seen[string(read(t, reader, 32))] = true
			}
		}
		require.Len(t, seen, 60, name)
	}
	r, _ := randomOf(t, hsm.RandomMixed, hsm.RandomRequire, constantReader{}, constant)
	require.NotEqual(t, read(t, r.Reader(t.Context(), "dek"), 32), read(t, r.Reader(t.Context(), "nonce"), 32))
}

func TestMixedRandomBytesHaveAKeyOfTheirOwnForEachRequest(t *testing.T) {
	r, tok := randomOf(t, hsm.RandomMixed, hsm.RandomRequire, rand.Reader, nil)
	for n := 1; n <= 3; n++ {
		reader := r.Reader(t.Context(), "material")
		read(t, reader, 100)
		read(t, reader, 100)
		require.Equal(t, n, tok.library.Calls(faketoken.GenerateRandom))
	}
	long := read(t, r.Reader(t.Context(), "material"), 3000)
	require.Equal(t, 6, tok.library.Calls(faketoken.GenerateRandom), "a new key after 1024 bytes")
	require.NotEqual(t, long[:1000], long[1024:2024])
}

func TestATokenThatIsAwayFailsTheRequestOrIsDoneWithout(t *testing.T) {
	for _, source := range []hsm.RandomSource{hsm.RandomHSM, hsm.RandomMixed} {
		r, tok := randomOf(t, source, hsm.RandomRequire, rand.Reader, nil)
		tok.library.Fail(faketoken.GenerateRandom, cryptoki.ErrDeviceError, 1000)
		got := make([]byte, 64)
		n, err := r.Reader(t.Context(), "dek").Read(got)
		require.ErrorIs(t, err, cryptoki.ErrDeviceError)
		require.Zero(t, n)
		require.Equal(t, make([]byte, 64), got)
		require.Zero(t, r.Fallbacks())

		r, tok = randomOf(t, source, hsm.RandomPrefer, bytes.NewReader(append(make([]byte, 32), "of the OS"...)), nil)
		tok.library.Fail(faketoken.GenerateRandom, cryptoki.ErrDeviceError, 1000)
		reader := r.Reader(t.Context(), "dek")
		if source == hsm.RandomMixed {
			require.Equal(t, "of the OS", string(read(t, reader, 9)), "after what the key was to be made of")
		} else {
			read(t, reader, 32)
		}
		require.EqualValues(t, 1, r.Fallbacks())
		require.Equal(t, 1, tok.library.Calls(faketoken.GenerateRandom), "a reader asks once")
	}
}

func TestARequestThatIsOverGetsNoRandomBytes(t *testing.T) {
	r, _ := randomOf(t, hsm.RandomMixed, hsm.RandomPrefer, rand.Reader, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Reader(ctx, "dek").Read(make([]byte, 8))
	require.ErrorIs(t, err, context.Canceled)
}

func TestAGeneratorThatIsBrokenIsNotUsed(t *testing.T) {
	for _, broken := range []func([]byte){func(p []byte) { clear(p) }, func(p []byte) { copy(p, bytes.Repeat([]byte{0xff}, len(p))) }} {
		r, _ := randomOf(t, hsm.RandomHSM, hsm.RandomRequire, rand.Reader, broken)
		_, err := r.Reader(t.Context(), "dek").Read(make([]byte, 8))
		require.ErrorIs(t, err, hsm.ErrUnavailable)
	}
}

func TestTheSystemsRandomBytesAreNeverDoneWithout(t *testing.T) {
	r, _ := randomOf(t, hsm.RandomMixed, hsm.RandomPrefer, brokenReader{}, nil)
	_, err := r.Reader(t.Context(), "dek").Read(make([]byte, 8))
	require.Error(t, err)
}

func TestARandomReaderIsSafeForConcurrentUse(t *testing.T) {
	r, _ := randomOf(t, hsm.RandomMixed, hsm.RandomRequire, rand.Reader, nil)
	reader := r.Reader(t.Context(), "nonce")
	var seen sync.Map
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				p := make([]byte, 12)
				_, err := reader.Read(p)
				_, twice := seen.LoadOrStore(string(p), true)
				assert.NoError(t, err)
				assert.False(t, twice)
			}
		})
	}
	all.Wait()
}

func TestRandomSourcesThatNameNothingAreRefused(t *testing.T) {
	for _, err := range []error{
		second(hsm.NewRandom("dice", hsm.RandomRequire, rand.Reader, nil)),
		second(hsm.NewRandom(hsm.RandomOS, "hope", rand.Reader, nil)),
		second(hsm.NewRandom(hsm.RandomMixed, hsm.RandomRequire, rand.Reader, nil)),
	} {
		require.ErrorIs(t, err, hsm.ErrUnsupported)
	}
}

func second(_ *hsm.Random, err error) error { return errors.Join(err) }
