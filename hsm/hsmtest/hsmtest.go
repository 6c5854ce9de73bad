// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package hsmtest has what hsm and its parts are tested with, and is for tests alone.
//
// [Run] is the conformance suite of key wrappers: what storage code relies on, whatever does the wrapping. It tests no more than
// can be seen from outside: sessions, recovery and health are for each wrapper's own tests. [RunLibrary] is that of PKCS#11
// libraries and their tokens.
//
// A [Fixture] is a real token: SoftHSM, SoftHSM without AES-GCM, or NSS. [Faulty] puts a library of ours before one, that fails
// as HSMs do. What is missing on a machine makes a test fail, never skip.
package hsmtest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
)

// Wrapper is what the suite tests.
type Wrapper interface {
	KEKID() [16]byte
	Wrap(ctx context.Context, dek, aad []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error)
}

// tooLarge is more than any wrapper takes, and than its format could tell the length of.
const tooLarge = 1 << 20

// Run tests the wrappers that open returns. Each call of open must return one with a key encryption
// key of its own.
func Run(t *testing.T, open func(t *testing.T) Wrapper) {
	t.Helper()
	run(t, open, 1)
}

// RunSampled is Run for tokens on which a verdict of damage takes long: of the bytes of what is wrapped, every seventeenth is changed.
func RunSampled(t *testing.T, open func(t *testing.T) Wrapper) {
	t.Helper()
	const every = 17
	run(t, open, every)
}

func run(t *testing.T, open func(t *testing.T) Wrapper, every int) {
	t.Helper()
	shared := open(t) // a key encryption key can take long to make
	for name, test := range map[string]func(suite, *testing.T){
		"what is wrapped unwraps":                           suite.roundTrip,
		"other associated data is corrupt":                  suite.otherAAD,
		"a change to any byte is noticed":                   suite.flippedBytes,
		"a truncated or extended wrapping is corrupt":       suite.otherLengths,
		"two wrappings of one secret differ":                suite.wrappingsDiffer,
		"a foreign KEK is missing":                          suite.foreignKEK,
		"secrets of impossible size are refused":            suite.secretSizes,
		"wrappings of impossible size are corrupt":          suite.wrappingSizes,
		"arguments are left as they were":                   suite.argumentsUnchanged,
		"a cancelled context is an error, not a corruption": suite.cancelled,
		"what is wrapped tells its KEK":                     suite.namesKEK,
		"many callers at once get each their own":           suite.manyCallers,
	} {
		t.Run(name, func(t *testing.T) { test(suite{open, shared, every}, t) })
	}
}

type suite struct {
	open    func(t *testing.T) Wrapper
	wrapper Wrapper
	every   int // so many bytes apart are those that are changed
}

var (
	dek = bytes.Repeat([]byte{0xd5}, 32)
	aad = []byte("conformance")
)

func (s suite) wrap(t *testing.T) []byte {
	t.Helper()
	wrapped, err := s.wrapper.Wrap(t.Context(), dek, aad)
	require.NoError(t, err)
	return wrapped
}

func (s suite) roundTrip(t *testing.T) {
	for _, a := range [][]byte{nil, aad, bytes.Repeat(aad, 100)} {
		for _, size := range []int{1, 16, 32, 64} {
			secret := bytes.Repeat([]byte{7}, size)
			wrapped, err := s.wrapper.Wrap(t.Context(), secret, a)
			require.NoError(t, err)
			require.NotContains(t, string(wrapped), string(bytes.Repeat([]byte{7}, 8)))

			got, err := s.wrapper.Unwrap(t.Context(), wrapped, a)
			require.NoError(t, err)
			require.Equal(t, secret, got)
		}
	}
}

func (s suite) otherAAD(t *testing.T) {
	wrapped := s.wrap(t)
	for _, other := range [][]byte{nil, aad[1:], append(bytes.Clone(aad), 0), bytes.Repeat(aad, 2), make([]byte, tooLarge)} {
		_, err := s.wrapper.Unwrap(t.Context(), wrapped, other)
		requireCorrupt(t, err)
	}
}

func (s suite) flippedBytes(t *testing.T) {
	wrapped := s.wrap(t)
	for i := 0; i < len(wrapped); i += s.every {
		damaged := bytes.Clone(wrapped)
		damaged[i] ^= 0x41
		got, err := s.wrapper.Unwrap(t.Context(), damaged, aad)
		require.Empty(t, got)
		if !errors.Is(err, hsm.ErrKEKMissing) { // the identifier of the KEK was hit
			requireCorrupt(t, err)
		}
	}
}

func (s suite) otherLengths(t *testing.T) {
	wrapped := s.wrap(t)
	for i := range wrapped {
		_, err := s.wrapper.Unwrap(t.Context(), wrapped[:i], aad)
		requireCorrupt(t, err)
	}
	_, err := s.wrapper.Unwrap(t.Context(), append(bytes.Clone(wrapped), 0), aad)
	requireCorrupt(t, err)
}

func (s suite) wrappingsDiffer(t *testing.T) {
	require.NotEqual(t, s.wrap(t), s.wrap(t))
}

func (s suite) foreignKEK(t *testing.T) {
	other := s.open(t)
	require.NotEqual(t, s.wrapper.KEKID(), other.KEKID(), "open must return a new KEK each time")
	_, err := other.Unwrap(t.Context(), s.wrap(t), aad)
	require.ErrorIs(t, err, hsm.ErrKEKMissing)
	require.NotErrorIs(t, err, hsm.ErrCorrupt)
}

func (s suite) secretSizes(t *testing.T) {
	for _, size := range []int{0, tooLarge} {
		_, err := s.wrapper.Wrap(t.Context(), make([]byte, size), aad)
		require.Error(t, err)
		require.NotErrorIs(t, err, hsm.ErrUnavailable, "no retry would help")
	}
}

func (s suite) wrappingSizes(t *testing.T) {
	for _, size := range []int{0, 1, tooLarge} {
		_, err := s.wrapper.Unwrap(t.Context(), make([]byte, size), aad)
		requireCorrupt(t, err)
	}
}

func (s suite) argumentsUnchanged(t *testing.T) {
	secret, data := bytes.Clone(dek), bytes.Clone(aad)
	wrapped, err := s.wrapper.Wrap(t.Context(), secret, data)
	require.NoError(t, err)
	before := bytes.Clone(wrapped)
	got, err := s.wrapper.Unwrap(t.Context(), wrapped, data)
	require.NoError(t, err)
	clear(got) // the caller's to wipe, so it must not be a buffer of anybody else's
	require.Equal(t, [][]byte{dek, aad, before}, [][]byte{secret, data, wrapped})
}

func (s suite) cancelled(t *testing.T) {
	wrapped := s.wrap(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.wrapper.Wrap(ctx, dek, aad)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.wrapper.Unwrap(ctx, wrapped, aad)
	require.ErrorIs(t, err, context.Canceled)
}

func (s suite) namesKEK(t *testing.T) {
	id, err := hsm.KEKIDOf(s.wrap(t))
	require.NoError(t, err)
	require.Equal(t, s.wrapper.KEKID(), id)
}

func (s suite) manyCallers(t *testing.T) {
	var all sync.WaitGroup
	for i := range byte(8) {
		all.Go(func() {
			secret, data := bytes.Repeat([]byte{i}, 32), []byte{i}
			for range 10 {
				wrapped, err := s.wrapper.Wrap(t.Context(), secret, data)
				got, errUnwrap := s.wrapper.Unwrap(t.Context(), wrapped, data)
				assert.NoError(t, errors.Join(err, errUnwrap))
				assert.Equal(t, secret, got)
			}
		})
	}
	all.Wait()
}

// requireCorrupt also holds the method by which callers that do not import hsm recognize the error.
func requireCorrupt(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, hsm.ErrCorrupt)
	var c interface{ Corrupt() bool }
	require.True(t, errors.As(err, &c) && c.Corrupt())
}
