// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// keks wraps with the first of its keys, unwraps with the one that is named, and counts.
type keks struct {
	keys           []*hsm.Software
	wraps, unwraps int
	wrapErr        error
	short          bool // Unwrap returns a key that is too short
}

// newKEKs returns a wrapper of n keys; the first of them has the identifier 1.
func newKEKs(t testing.TB, n int) *keks {
	t.Helper()
	k := &keks{}
	for i := range n {
		key, err := hsm.NewSoftware([16]byte{byte(i + 1)}, bytes.Repeat([]byte{byte(i + 1)}, 32), rand.Reader)
		require.NoError(t, err)
		k.keys = append(k.keys, key)
	}
	return k
}

func (k *keks) Active() [16]byte { return k.keys[0].KEKID() }

func (k *keks) KEKIDOf(wrapped []byte) ([16]byte, error) { return hsm.KEKIDOf(wrapped) }

func (k *keks) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	k.wraps++
	if k.wrapErr != nil {
		return nil, k.wrapErr
	}
	return k.keys[0].Wrap(ctx, dek, aad)
}

func (k *keks) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	k.unwraps++
	id, err := hsm.KEKIDOf(wrapped)
	if err != nil {
		return nil, err
	}
	for _, key := range k.keys {
		if key.KEKID() == id {
			dek, err := key.Unwrap(ctx, wrapped, aad)
			if k.short {
				return dek[:16], err
			}
			return dek, err
		}
	}
	return nil, hsm.ErrKEKMissing
}

// rotated makes the last key the active one.
func (k *keks) rotated() *keks {
	last := len(k.keys) - 1
	k.keys[0], k.keys[last] = k.keys[last], k.keys[0]
	return k
}

func TestARewrappedBlobOpensToTheSameUnderTheOtherKeyAlone(t *testing.T) {
	w := newKEKs(t, 2)
	old, err := envelope.Seal(t.Context(), w, testMaterial(), testBinding, rand.Reader)
	require.NoError(t, err)
	requireKEK(t, w, old, 1)
	w.rotated().wraps = 0
	kept := bytes.Clone(old)
	next, err := envelope.Rewrap(t.Context(), w, old, testBinding)
	require.NoError(t, err)
	require.Equal(t, []int{1, 1}, []int{w.unwraps, w.wraps})
	require.Equal(t, kept, old, "the argument is the caller's")
	requireKEK(t, w, next, 2)

	w.keys = w.keys[:1]
	m, err := envelope.Open(t.Context(), w, next, testBinding)
	require.NoError(t, err)
	require.True(t, testMaterial().Equal(m))
	_, err = envelope.Open(t.Context(), w, old, testBinding)
	require.ErrorIs(t, err, hsm.ErrKEKMissing)
}

func requireKEK(t testing.TB, w envelope.KEKWrapper, blob []byte, want byte) {
	t.Helper()
	id, err := envelope.KEKOf(w, blob)
	require.NoError(t, err)
	require.Equal(t, [16]byte{want}, id)
}

func TestARewrapLeavesWhatIsSealedAsItIs(t *testing.T) {
	w := newKEKs(t, 2)
	old, err := envelope.Seal(t.Context(), w, testMaterial(), testBinding, rand.Reader)
	require.NoError(t, err)
	next, err := envelope.Rewrap(t.Context(), w.rotated(), old, testBinding)
	require.NoError(t, err)
	require.Len(t, next, len(old))
	head := 6 + int(old[4])<<8 + int(old[5])
	require.Equal(t, old[head:], next[head:], "nonce, ciphertext and tag")
	require.NotEqual(t, old[6:head], next[6:head])
}

func TestABlobOfAnotherPlaceIsNotRewrapped(t *testing.T) {
	w := newKEKs(t, 2)
	blob, err := envelope.Seal(t.Context(), w, testMaterial(), testBinding, rand.Reader)
	require.NoError(t, err)
	other := testBinding
	other.Version++
	w.rotated().wraps = 0
	_, err = envelope.Rewrap(t.Context(), w, blob, other)
	require.Equal(t, envelope.ErrCorrupt, err)
	require.Zero(t, w.wraps)
	_, err = envelope.Rewrap(t.Context(), w, blob, envelope.Binding{})
	require.ErrorIs(t, err, envelope.ErrInternal)
}

func TestAKeyOfTheWrongSizeIsNotWrapped(t *testing.T) {
	w := newKEKs(t, 2)
	blob, err := envelope.Seal(t.Context(), w, testMaterial(), testBinding, rand.Reader)
	require.NoError(t, err)
	w.short, w.wraps = true, 0
	_, err = envelope.Rewrap(t.Context(), w, blob, testBinding)
	require.Equal(t, envelope.ErrCorrupt, err)
	require.Zero(t, w.wraps)
}

func TestARewrapTellsAWrapperThatDoesNotWrapFromABlobThatDoesNotOpen(t *testing.T) {
	w := newKEKs(t, 2)
	blob, err := envelope.Seal(t.Context(), w, testMaterial(), testBinding, rand.Reader)
	require.NoError(t, err)
	away := errors.New("token is away")
	w.wrapErr = away
	_, err = envelope.Rewrap(t.Context(), w, blob, testBinding)
	require.ErrorIs(t, err, envelope.ErrWrap)
	require.ErrorIs(t, err, away)
	w.keys = w.keys[1:]
	_, err = envelope.Rewrap(t.Context(), w, blob, testBinding)
	require.ErrorIs(t, err, hsm.ErrKEKMissing)
	require.NotErrorIs(t, err, envelope.ErrWrap)
}

func FuzzRewrap(f *testing.F) {
	w := newKEKs(f, 2)
	blob, err := envelope.Seal(f.Context(), w, testMaterial(), testBinding, rand.Reader)
	require.NoError(f, err)
	w.rotated()
	f.Add(blob)
	f.Add(blob[:40])
	f.Add([]byte("KLW1\x00\x01w"))
	f.Fuzz(func(t *testing.T, in []byte) {
		id, idErr := envelope.KEKOf(w, in)
		out, err := envelope.Rewrap(t.Context(), w, in, testBinding)
		if err != nil {
			require.Nil(t, out)
			return
		}
		require.NoError(t, idErr)
		require.NotEqual(t, [16]byte{}, id)
		requireKEK(t, w, out, 2)
		before, errBefore := envelope.Open(t.Context(), w, in, testBinding)
		after, errAfter := envelope.Open(t.Context(), w, out, testBinding)
		require.Equal(t, errBefore, errAfter)
		require.True(t, before.Equal(after))
	})
}
