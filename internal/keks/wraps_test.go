// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keks_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// wrap wraps so many times with the key for material in use.
func (w *world) wrap(t *testing.T, times int) {
	t.Helper()
	wrapper, _, err := w.ring.Wrapper(t.Context(), w.handle.KEKs(), envelope.PurposeOnline, true)
	require.NoError(t, err)
	for range times {
		_, err := wrapper.Wrap(t.Context(), []byte("dek"), []byte("aad"))
		require.NoError(t, err)
	}
}

func (w *world) kek(t *testing.T, id [16]byte) keyring.TokenKEK {
	t.Helper()
	k, err := w.KEK(t.Context(), id)
	require.NoError(t, err)
	return k
}

func (w *world) active(t *testing.T) keyring.TokenKEK {
	t.Helper()
	k, ok := w.stored(t).ActiveOf(envelope.PurposeOnline)
	require.True(t, ok)
	return k
}

func TestAKeyIsRotatedOnceItHasWrappedOftenEnough(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		first := w.active(t).ID
		w.wrap(t, 99)
		require.Zero(t, w.active(t).Wraps)
		require.NoError(t, w.Tick(t.Context()))
		require.Equal(t, first, w.active(t).ID)
		require.Equal(t, uint64(99), w.active(t).Wraps)
		w.wrap(t, 2)
		require.NoError(t, w.Tick(t.Context()))
		require.NotEqual(t, first, w.active(t).ID)
		require.Zero(t, w.active(t).Wraps)
		require.Equal(t, uint64(101), w.kek(t, first).Wraps)
		require.Equal(t, keyring.DecryptOnly, w.kek(t, first).State)
		require.Equal(t, 3, w.device.Objects(), "the key of the archive stays")
	})
}

func TestCountsCostOnePutATickWhereSomethingWasWrapped(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		require.NoError(t, w.Tick(t.Context()))
		w.wrap(t, 1) // makes the wrappers
		require.NoError(t, w.Tick(t.Context()))
		w.disk.Reset()
		require.NoError(t, w.Tick(t.Context()))
		require.Zero(t, w.disk.Reset().Writes())
		w.wrap(t, 50)
		require.Zero(t, w.disk.Reset(), "a request costs nothing")
		require.NoError(t, w.Tick(t.Context()))
		require.Equal(t, 1, w.disk.Reset().Writes())
	})
}

func TestCountsSurviveAPutThatFails(t *testing.T) {
	for _, fate := range storagetest.Fates() {
		t.Run(fmt.Sprint(fate), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				w.wrap(t, 40)
				w.disk.FailWriteAs(1, fate)
				require.Error(t, w.Tick(t.Context()))
				w.disk.Heal()
				w.wrap(t, 2)
				require.NoError(t, w.Tick(t.Context()))
				require.GreaterOrEqual(t, w.active(t).Wraps, uint64(42))
				require.LessOrEqual(t, w.active(t).Wraps, uint64(82), "at most counted twice")
			})
		})
	}
}

func TestWhereNoKeyIsMadeNoneIsRotatedByUse(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure(t, func(s *tokens.Settings) { s.AllowGenerate = false })
		first := w.active(t).ID
		w.wrap(t, 101)
		require.NoError(t, w.Tick(t.Context()))
		require.Equal(t, first, w.active(t).ID)
		w.configure(t, func(s *tokens.Settings) { s.AllowGenerate = true })
		require.NoError(t, w.Tick(t.Context()))
		require.NotEqual(t, first, w.active(t).ID)
	})
}

func TestATokenThatIsAwayIsRotatedByUseOnceItIsBack(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		first := w.active(t).ID
		w.wrap(t, 101)
		w.device.Vanish()
		require.NoError(t, w.Tick(t.Context()))
		require.Equal(t, uint64(101), w.active(t).Wraps)
		w.device.Return()
		time.Sleep(time.Minute) // of the bubble
		require.NoError(t, w.Tick(t.Context()))
		require.NotEqual(t, first, w.active(t).ID)
	})
}
