// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/datakeys"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

// clocks are a monotonic clock and a wall clock that a test puts forward.
func clocks() (now func() datakeys.Moment, forward *atomic.Int64) {
	base, forward := time.Now(), &atomic.Int64{}
	return func() datakeys.Moment {
		now := time.Now()
		return datakeys.Moment{Mono: int64(now.Sub(base)) + 1, Wall: now.UnixNano() + forward.Load()}
	}, forward
}

func TestAProofEndsByTheClockThatSaysLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		now, forward := clocks()
		k := newSet(t, datakeys.Options{Engine: f, Now: now}).Key("orders")
		_, _, err := k.Protecting(t.Context(), 1)
		require.NoError(t, err)
		source := func() datakeys.Source {
			_, source, err := k.Protecting(t.Context(), 1)
			require.NoError(t, err)
			return source
		}
		require.Equal(t, datakeys.Local, source())
		forward.Store(int64(bounds.TTL)) // as after a machine slept
		require.Equal(t, datakeys.Asked, source())
		require.Equal(t, datakeys.Local, source())
		forward.Store(-int64(time.Hour))
		require.Equal(t, datakeys.Local, source())
	})
}

func TestAProofCountsFromTheStartOfItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = 4 * time.Second
		k := newSet(t, datakeys.Options{Engine: f}).Key("orders")
		edk := []byte(f.edk())
		_, _, err := k.Processing(t.Context(), edk)
		require.NoError(t, err)
		time.Sleep(bounds.TTL - 4*time.Second - time.Millisecond)
		_, source, err := k.Processing(t.Context(), edk)
		require.NoError(t, err)
		require.Equal(t, datakeys.Local, source)
		time.Sleep(time.Millisecond)
		f.fails = errDown
		_, source, err = k.Processing(t.Context(), edk)
		require.NoError(t, err)
		require.Equal(t, datakeys.Stale, source)
	})
}

// An answer that took longer than a proof lasts is still one to the use that waited for it.
func TestASlowAnswerIsGoodForWhoWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = 3 * time.Second
		short := bounds
		short.TTL = time.Second
		k := newSet(t, datakeys.Options{Engine: f, Bounds: short}).Key("orders")
		_, source, err := k.Protecting(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, datakeys.Asked, source)
		_, source, err = k.Processing(t.Context(), []byte(f.edk()))
		require.NoError(t, err)
		require.Equal(t, datakeys.Asked, source)
	})
}

func TestProofsInUseAreRenewedInOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		k := newSet(t, datakeys.Options{Engine: f}).Key("orders")
		used, young, unused := edksOf(f, 300), edksOf(f, 10), edksOf(f, 50)
		for range 2 { // the second time they are in use
			k.ProcessingMany(t.Context(), uses(used))
		}
		k.ProcessingMany(t.Context(), uses(unused))
		time.Sleep(2 * time.Minute)
		for range 2 {
			k.ProcessingMany(t.Context(), uses(young))
		}
		f.set(func() { f.batches = nil })
		time.Sleep(2*time.Minute + 50*time.Second) // past 88 % of TTL
		synctest.Wait()
		_, batches := f.requests()
		require.Contains(t, [][]int{{256, 44}, {256, 54}}, batches, "young ones if they are past half of TTL by then; unused ones never")
		all := uses(used)
		k.ProcessingMany(t.Context(), all)
		for _, u := range all {
			require.Equal(t, datakeys.Local, u.Source)
		}
	})
}

func TestTheNextDataKeyIsThereBeforeTheLastMessage(t *testing.T) {
	for name, limit := range map[string]func(*datakeys.Bounds){
		"messages": func(b *datakeys.Bounds) { b.MaxMessages = 10 },
		"bytes":    func(b *datakeys.Bounds) { b.MaxBytes = 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				b := bounds
				limit(&b)
				k := newSet(t, datakeys.Options{Engine: f, Bounds: b}).Key("orders")
				count := map[*datakeys.DataKey]int{}
				for i := range 100 {
					d, source, err := k.Protecting(t.Context(), 100)
					require.NoError(t, err)
					count[d]++
					require.Equal(t, i == 0, source == datakeys.Asked, "%d", i)
					time.Sleep(time.Second)
				}
				for _, n := range count {
					require.LessOrEqual(t, n, 10)
				}
				require.Len(t, count, 13, "each encrypts 8")
			})
		})
	}
}

func TestLimitsEndEncryptingAlsoInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		b := bounds
		b.MaxMessages = 10
		k := newSet(t, datakeys.Options{Engine: f, Bounds: b}).Key("orders")
		for i := range 12 {
			_, _, err := k.Protecting(t.Context(), 1)
			f.set(func() { f.fails = errDown })
			if i < 10 {
				require.NoError(t, err, "%d", i)
				continue
			}
			require.ErrorIs(t, err, refusal.ErrUnavailable)
		}
	})
}

func TestOnePlaintextMayBeLongerThanTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		b := bounds
		b.MaxBytes = 1000
		k := newSet(t, datakeys.Options{Engine: f, Bounds: b}).Key("orders")
		seen := map[*datakeys.DataKey]bool{}
		for range 3 {
			d, _, err := k.Protecting(t.Context(), 5000)
			require.NoError(t, err)
			require.False(t, seen[d], "it encrypts nothing else")
			seen[d] = true
		}
	})
}

// A right to decrypt that was taken away ends decrypting, and not encrypting, which has a proof of its own.
func TestARefusalOfDecryptLeavesEncrypting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		k := newSet(t, datakeys.Options{Engine: f}).Key("orders")
		encrypting, _, err := k.Protecting(t.Context(), 1)
		require.NoError(t, err)
		known := []byte(f.edk())
		_, _, err = k.Processing(t.Context(), known)
		require.NoError(t, err)
		f.fails = fmt.Errorf("%w: permission denied", refusal.ErrAccessDenied)
		_, _, err = k.Processing(t.Context(), []byte(f.edk()))
		require.ErrorIs(t, err, refusal.ErrAccessDenied)
		for _, edk := range [][]byte{known, []byte(encrypting.EDK())} {
			_, _, err = k.Processing(t.Context(), edk)
			require.ErrorIs(t, err, refusal.ErrAccessDenied)
		}
		d, source, err := k.Protecting(t.Context(), 1)
		require.NoError(t, err)
		require.Same(t, encrypting, d)
		require.Equal(t, datakeys.Local, source)
		f.fails = nil
		d, source, err = k.Processing(t.Context(), []byte(encrypting.EDK()))
		require.NoError(t, err)
		require.Same(t, encrypting, d)
		require.Equal(t, datakeys.Asked, source)
	})
}

func TestARefusalOfOneLeavesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		k := newSet(t, datakeys.Options{Engine: f}).Key("orders")
		edks := edksOf(f, 3)
		k.ProcessingMany(t.Context(), uses(edks))
		f.refuses[edks[1]] = kle1.ErrInvalidMessage
		require.ErrorIs(t, k.Rewrap(t.Context(), edks)[1].Err, kle1.ErrInvalidMessage)
		all := uses(edks)
		k.ProcessingMany(t.Context(), all)
		require.Equal(t, datakeys.Local, all[0].Source)
		require.ErrorIs(t, all[1].Err, kle1.ErrInvalidMessage)
		require.Equal(t, datakeys.Local, all[2].Source)
	})
}

func TestARefreshAsksWhatBeganAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = time.Second
		k := newSet(t, datakeys.Options{Engine: f}).Key("orders")
		require.NoError(t, k.Refresh(t.Context()))
		makes, batches := f.requests()
		require.Zero(t, makes+len(batches), "it is not in use")

		done := make(chan struct{})
		go func() { _, _, _ = k.Protecting(t.Context(), 1); close(done) }()
		time.Sleep(999 * time.Millisecond) // the engine made version 1 already, as it were
		refreshed := make(chan error)
		go func() { refreshed <- k.Refresh(t.Context()) }()
		<-done
		f.set(func() { f.version = 2 })
		require.NoError(t, <-refreshed)
		version, err := k.Version(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, version)
	})
}

func TestWhatWasUsedLongestAgoIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = time.Millisecond
		s := newSet(t, datakeys.Options{Engine: f})
		k, other := s.Key("orders"), s.Key("payments")
		first, rest := edksOf(f, 1500), edksOf(f, 8800)
		k.ProcessingMany(t.Context(), uses(first))
		time.Sleep(2 * time.Second)
		k.ProcessingMany(t.Context(), uses(first[:500])) // in use
		time.Sleep(2 * time.Second)
		encrypting, _, err := other.Protecting(t.Context(), 1)
		require.NoError(t, err)
		other.ProcessingMany(t.Context(), uses(rest))
		synctest.Wait()
		n := 0
		for _, stats := range s.Stats() {
			n += stats.DataKeys
		}
		require.LessOrEqual(t, n, datakeys.MaxKnown)
		require.Greater(t, n, datakeys.MaxKnown*9/10)
		kept := uses(first[:500])
		k.ProcessingMany(t.Context(), kept)
		for _, u := range kept {
			require.Equal(t, datakeys.Local, u.Source)
		}
		_, source, err := k.Processing(t.Context(), []byte(first[999]))
		require.NoError(t, err)
		require.Equal(t, datakeys.Asked, source)
		d, source, err := other.Protecting(t.Context(), 1)
		require.NoError(t, err)
		require.Same(t, encrypting, d)
		require.Equal(t, datakeys.Local, source)
	})
}
