// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// memory is a store of key encryption keys. It complains where they are made twice.
type memory struct {
	t      *testing.T
	mu     sync.Mutex
	keks   *keyring.KEKs
	hsm    keyring.HSM
	reads  atomic.Int32
	during func() // called while the keys are read
}

func (m *memory) Keyring(context.Context) (keyring.KEKs, bool, error) {
	m.mu.Lock()
	keks := m.keks
	m.mu.Unlock()
	m.reads.Add(1)
	if m.during != nil {
		m.during()
	}
	if keks == nil {
		return keyring.KEKs{}, false, nil
	}
	return *keks, true, nil
}

func (m *memory) CreateKeyring(_ context.Context, keks keyring.KEKs) (keyring.KEKs, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	assert.Nil(m.t, m.keks, "the key encryption keys are made twice")
	m.keks = &keks
	return keks, nil
}

func (m *memory) HSM(context.Context) (keyring.HSM, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hsm, nil
}

func newKeyring(t *testing.T, wrap func(envelope.KeyWrapper) envelope.KeyWrapper) (*keyring.Keyring, *memory) {
	t.Helper()
	ring := keyring.New(keyring.Config{Now: func() time.Time { return start }, Rand: rand.Reader, Wrap: wrap})
	t.Cleanup(func() { require.NoError(t, ring.Close()) })
	return ring, &memory{t: t}
}

// online returns the wrapper of material in use.
func online(t *testing.T, ring *keyring.Keyring, m *memory) envelope.KeyWrapper {
	t.Helper()
	w, instance, err := ring.Wrapper(t.Context(), m, envelope.PurposeOnline, true)
	require.NoError(t, err)
	require.NotEmpty(t, instance)
	return w
}

func TestAReaderMakesNoKeys(t *testing.T) {
	ring, m := newKeyring(t, nil)
	_, _, err := ring.Wrapper(t.Context(), m, envelope.PurposeOnline, false)
	require.ErrorIs(t, err, hsm.ErrKEKMissing)
	require.Nil(t, m.keks)
}

func TestTheKeysOfANewMountAreMadeOnceAndReadOnce(t *testing.T) {
	ring, m := newKeyring(t, nil)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			_, _, err := ring.Wrapper(t.Context(), m, envelope.PurposeOnline, i%2 == 0)
			if i%2 == 0 {
				assert.NoError(t, err)
			} else if err != nil {
				assert.ErrorIs(t, err, hsm.ErrKEKMissing)
			}
		})
	}
	all.Wait()
	before := m.reads.Load()
	w := online(t, ring, m)
	require.Equal(t, before, m.reads.Load())
	wrapped, err := w.Wrap(t.Context(), []byte("dek"), []byte("aad"))
	require.NoError(t, err)
	dek, err := w.Unwrap(t.Context(), wrapped, []byte("aad"))
	require.NoError(t, err)
	require.Equal(t, []byte("dek"), dek)
}

func TestEachPurposeHasAKeyOfItsOwn(t *testing.T) {
	ring, m := newKeyring(t, nil)
	wrapped, err := online(t, ring, m).Wrap(t.Context(), []byte("dek"), nil)
	require.NoError(t, err)
	archive, _, err := ring.Wrapper(t.Context(), m, envelope.PurposeArchive, false)
	require.NoError(t, err)
	_, err = archive.Unwrap(t.Context(), wrapped, nil)
	require.ErrorIs(t, err, hsm.ErrKEKMissing)
}

func TestWithoutTheKeyOfTheArchiveWhatIsInUseGoesOn(t *testing.T) {
	ring, m := newKeyring(t, nil)
	online(t, ring, m)
	m.keks.Archive = keyring.KEK{}
	ring.Forget()
	online(t, ring, m)
	_, _, err := ring.Wrapper(t.Context(), m, envelope.PurposeArchive, false)
	require.ErrorIs(t, err, keyring.ErrNoArchiveKEK)
}

// TestAnInvalidationWhileTheKeysAreReadIsNotLost is about another node that changes the keys at that moment.
func TestAnInvalidationWhileTheKeysAreReadIsNotLost(t *testing.T) {
	ring, m := newKeyring(t, nil)
	online(t, ring, m)
	ring.Forget()
	changed := *m.keks
	changed.Instance = "another"
	m.during = func() {
		m.during, m.keks = nil, &changed
		ring.Forget()
	}
	_, before, err := ring.Wrapper(t.Context(), m, envelope.PurposeOnline, false)
	require.NoError(t, err)
	require.NotEqual(t, "another", before, "it was read before the change")
	_, after, err := ring.Wrapper(t.Context(), m, envelope.PurposeOnline, false)
	require.NoError(t, err)
	require.Equal(t, "another", after)
}

func TestWithoutACacheTheKeysAreReadEachTime(t *testing.T) {
	ring, m := newKeyring(t, nil)
	ring.DisableCache()
	online(t, ring, m)
	before := m.reads.Load()
	online(t, ring, m)
	require.Equal(t, before+1, m.reads.Load())
}

// token is a wrapper that can be away, and that has to be closed.
type token struct {
	envelope.KeyWrapper
	err    error
	closed int
}

func (k *token) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	if k.err != nil {
		return nil, k.err
	}
	return k.KeyWrapper.Unwrap(ctx, wrapped, aad)
}

func (*token) Hardware() bool { return true }

func (k *token) Close() error { k.closed++; return nil }

func TestATokenThatIsAwayIsToldFromOneThatRefuses(t *testing.T) {
	tok := &token{}
	ring, m := newKeyring(t, func(w envelope.KeyWrapper) envelope.KeyWrapper { tok.KeyWrapper = w; return tok })
	w := online(t, ring, m)
	require.True(t, w.(interface{ Hardware() bool }).Hardware())
	wrapped, err := w.Wrap(t.Context(), []byte("dek"), nil)
	require.NoError(t, err)
	require.Zero(t, ring.Health())

	for _, away := range []error{hsm.ErrUnavailable, context.DeadlineExceeded} {
		tok.err = away
		_, err = w.Unwrap(t.Context(), wrapped, nil)
		require.ErrorIs(t, err, envelope.ErrUnavailable)
		require.ErrorIs(t, err, away)
		require.EqualError(t, err, away.Error())
		require.Equal(t, start, ring.Health().Since)
		require.ErrorIs(t, ring.Health().Err, away)
	}

	tok.err = hsm.ErrCorrupt
	_, err = w.Unwrap(t.Context(), wrapped, nil)
	require.NotErrorIs(t, err, envelope.ErrUnavailable)
	require.Zero(t, ring.Health(), "a token that refuses is there")

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	tok.err = errors.Join(hsm.ErrUnavailable, gone.Err())
	_, err = w.Unwrap(gone, wrapped, nil)
	require.NotErrorIs(t, err, envelope.ErrUnavailable, "it is the caller that gave up")
	require.Zero(t, ring.Health())
}

func TestAClosedKeyringHasClosedItsWrappersAndGivesNone(t *testing.T) {
	tok := &token{}
	ring, m := newKeyring(t, func(w envelope.KeyWrapper) envelope.KeyWrapper { tok.KeyWrapper = w; return tok })
	online(t, ring, m)
	require.Zero(t, tok.closed)
	require.NoError(t, ring.Close())
	require.NoError(t, ring.Close())
	require.Equal(t, 1, tok.closed)
	_, _, err := ring.Wrapper(t.Context(), m, envelope.PurposeOnline, true)
	require.ErrorIs(t, err, envelope.ErrUnavailable)
}

func TestAnErrorOfAWrapperSaysOnceWhatFailed(t *testing.T) {
	ring, m := newKeyring(t, nil)
	gone, cancel := context.WithCancel(t.Context())
	w := online(t, ring, m)
	material := envelope.NewMaterial([]byte("key"), nil)
	bound := envelope.Binding{Instance: "i", KeyID: "k", Version: 1, Algorithm: envelope.AES256GCM96, Purpose: envelope.PurposeOnline}
	sealed, err := envelope.Seal(t.Context(), w, material, bound, rand.Reader)
	require.NoError(t, err)
	cancel()
	_, err = envelope.Seal(gone, w, material, bound, rand.Reader)
	require.EqualError(t, err, "wrap key: context canceled")
	_, err = envelope.Open(gone, w, sealed, bound)
	require.EqualError(t, err, "unwrap key: context canceled")
	was := m.keks.Use.ID
	m.keks.Use.ID = [16]byte{1}
	ring.Forget()
	_, err = envelope.Open(t.Context(), online(t, ring, m), sealed, bound)
	require.EqualError(t, err, "unwrap key: key encryption key is missing: "+hex.EncodeToString(was[:]))
}
