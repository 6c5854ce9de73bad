// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/datakeys"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

func TestManyColdUsesAreOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		k := newSet(t, datakeys.Options{Engine: f}).Key("orders")
		edk := f.edk()
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				_, source, err := k.Protecting(t.Context(), 1)
				require.NoError(t, err)
				require.Equal(t, datakeys.Asked, source)
			})
			all.Go(func() {
				_, source, err := k.Processing(t.Context(), []byte(edk))
				require.NoError(t, err)
				require.Equal(t, datakeys.Asked, source)
			})
		}
		all.Wait()
		makes, batches := f.requests()
		require.Equal(t, 1, makes)
		require.Equal(t, []int{1}, batches)
	})
}

func TestMissesDuringABatchFormTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		k := newSet(t, datakeys.Options{Engine: f}).Key("orders")
		var all sync.WaitGroup
		all.Go(func() { _, _, _ = k.Processing(t.Context(), []byte(f.edk())) })
		synctest.Wait() // the first batch is under way
		for _, edk := range edksOf(f, 600) {
			all.Go(func() {
				d, _, err := k.Processing(t.Context(), []byte(edk))
				require.NoError(t, err)
				require.Equal(t, keyOf(edk), d.Bytes())
			})
		}
		all.Wait()
		_, batches := f.requests()
		require.Equal(t, []int{1, 256, 256, 88}, batches)
	})
}

func TestManyUnknownAreAsFewRequestsAsCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		k := newSet(t, datakeys.Options{Engine: f}).Key("orders")
		edks := edksOf(f, 300)
		f.refuses[edks[7]] = &refusal.KeyStateError{Key: "orders"}
		all := uses(edks)
		k.ProcessingMany(t.Context(), all)
		for i, u := range all {
			if i == 7 {
				require.Equal(t, f.refuses[edks[7]], u.Err)
				continue
			}
			require.NoError(t, u.Err)
			require.Equal(t, keyOf(u.EDK), u.DataKey.Bytes())
		}
		_, batches := f.requests()
		require.Equal(t, []int{256, 44}, batches)
	})
}

func TestManyUnknownWaitOutAnOutageTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fails = errDown
		k := newSet(t, datakeys.Options{Engine: f}).Key("orders")
		time.AfterFunc(2*time.Second, func() { f.set(func() { f.fails, f.batches = nil, nil }) })
		all := uses(edksOf(f, 300))
		k.ProcessingMany(t.Context(), all)
		for _, u := range all {
			require.NoError(t, u.Err)
		}
		_, batches := f.requests()
		require.Equal(t, []int{256, 44}, batches)
	})
}

func TestACallerThatGivesUpLeavesTheRequestToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = 3 * time.Second
		k := newSet(t, datakeys.Options{Engine: f}).Key("orders")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, _, err := k.Protecting(ctx, 1)
		require.ErrorIs(t, err, refusal.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		_, source, err := k.Protecting(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, datakeys.Asked, source)
		require.Equal(t, 3*time.Second, time.Since(start))
		makes, _ := f.requests()
		require.Equal(t, 1, makes)
	})
}

func TestAnOutageIsWaitedOutToTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fails = errDown
		k := newSet(t, datakeys.Options{Engine: f, Random: func() float64 { return 0.5 }}).Key("orders")
		start := time.Now()
		_, _, err := k.Protecting(t.Context(), 1)
		require.ErrorIs(t, err, refusal.ErrUnavailable)
		require.ErrorContains(t, err, "no route")
		require.LessOrEqual(t, time.Since(start), 10*time.Second)
		makes, _ := f.requests()
		require.Equal(t, 8, makes, "pauses of 0.05, 0.1, ... 3.2 s, and 5 s which are too long")
	})
}

func TestCloseEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = time.Hour
		s := newSet(t, datakeys.Options{Engine: f})
		k := s.Key("orders")
		var ended atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			for _, use := range []func() error{
				func() error { _, _, err := k.Protecting(t.Context(), 1); return err },
				func() error { _, _, err := k.Processing(t.Context(), []byte(f.edk())); return err },
				func() error { return k.Rewrap(t.Context(), []string{f.edk()})[0].Err },
			} {
				all.Go(func() {
					if err := use(); errors.Is(err, refusal.ErrClosed) {
						ended.Add(1)
					}
				})
			}
		}
		synctest.Wait()
		start := time.Now()
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		all.Wait()
		require.Equal(t, int32(24), ended.Load())
		require.Zero(t, time.Since(start))
		_, _, err := k.Protecting(t.Context(), 1)
		require.ErrorIs(t, err, refusal.ErrClosed)
		require.ErrorIs(t, k.Refresh(t.Context()), refusal.ErrClosed)
	})
}

func TestCloseWipesWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := newSet(t, datakeys.Options{Engine: f})
		k := s.Key("orders")
		encrypting, _, err := k.Protecting(t.Context(), 1)
		require.NoError(t, err)
		other, _, err := k.Processing(t.Context(), []byte(f.edk()))
		require.NoError(t, err)
		require.NoError(t, s.Close())
		require.Nil(t, encrypting.Bytes())
		require.Nil(t, other.Bytes())
		require.Equal(t, []datakeys.Stats{{Name: "orders"}}, s.Stats())
	})
}
