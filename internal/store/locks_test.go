// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// hooked is a storage that lets a test act before a write of the path.
type hooked struct {
	logical.Storage
	path   string
	before func()
}

func (h hooked) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if entry.Key == h.path {
		h.before()
	}
	return h.Storage.Put(ctx, entry)
}

// giveWay lets the other goroutines run, as long as done is false and there is hope.
func giveWay(done *atomic.Bool) {
	for range 100_000 {
		if done.Load() {
			return
		}
		runtime.Gosched()
	}
}

func TestConcurrentUpdatesOfAKeyLoseNone(t *testing.T) {
	const updates = 100
	w := newWorld()
	w.create(t, "orders", "")
	var all sync.WaitGroup
	var failures atomic.Int64
	for range updates {
		all.Go(func() {
			if _, err := w.UpdateKey(ctx, "orders", rotate("first")); err != nil {
				failures.Add(1)
			}
		})
	}
	all.Wait()
	require.Zero(t, failures.Load())
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, 1+updates, k.Latest)
	require.Equal(t, 1+updates, k.Revision)
	checkWhole(t, w)
}

func TestActsOnDifferentKeysDoNotWaitForEachOther(t *testing.T) {
	const others = 300 // more than any table of shared locks would have
	w := newWorld()
	w.create(t, "orders", "")
	for i := range others {
		w.create(t, fmt.Sprintf("other-%d", i), "")
	}
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		for i := range others { // would hang
			done := make(chan error)
			go func() {
				_, err := w.UpdateKey(ctx, fmt.Sprintf("other-%d", i), rotate("first"))
				done <- err
			}()
			if err := <-done; err != nil {
				return lifecycle.Commit{Key: k}, err
			}
		}
		return lifecycle.Commit{Key: k}, nil
	})
	require.NoError(t, err)
}

func TestKeysAreBoundToAPolicyAtTheSameTime(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "")
	w.create(t, "orders", "")
	w.create(t, "other", "")
	bind := configure(func(k *lifecycle.Key) { k.Policy = "pci" })
	var other error
	slow := w.store.On(hooked{w.disk, "keys/orders", func() { // would hang
		done := make(chan error)
		go func() { _, err := w.UpdateKey(ctx, "other", bind); done <- err }()
		other = <-done
	}}, who)
	_, err := slow.Keys().UpdateKey(ctx, "orders", bind)
	require.NoError(t, err)
	require.NoError(t, other)
	names, err := w.BoundKeys(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, []string{"orders", "other"}, names)
}

func TestLocksCostNothingWhenNobodyHoldsThem(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "")
	w.create(t, "orders", "pci")
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		require.Equal(t, 1, store.Held(w.store))
		return lifecycle.Commit{Key: k}, errors.New("not now")
	})
	require.Error(t, err)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			name := fmt.Sprint(i % 5)
			_, _ = w.PutPolicy(ctx, name, revise(name, fmt.Sprint(i)))
			_ = w.CreateKey(ctx, creation(lifecycle.Key{Name: name, Policy: name}, lifecycle.Version{}))
			_ = w.RemoveDue(ctx, start, name)
			_, _ = w.DeleteKey(ctx, name, anyKey, "")
			_ = w.DeletePolicy(ctx, name, anyPolicy, unused(name))
			_ = w.SetDisableUpsert(ctx, i%2 == 0)
		})
	}
	all.Wait()
	require.Zero(t, store.Held(w.store))
}

func TestNoKeyIsEverBoundToADeletedPolicy(t *testing.T) {
	const rounds, keys = 60, 6
	bind := configure(func(k *lifecycle.Key) { k.Policy = "pci" })
	bound, deleted := 0, 0
	for range rounds {
		w := newWorld()
		w.putPolicy(t, "pci", "")
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i := range keys {
			name := fmt.Sprint(i)
			w.create(t, name, "")
			all.Go(func() { <-begin; _, _ = w.UpdateKey(ctx, name, bind) })
			all.Go(func() {
				<-begin
				k := newKey(t, "new"+name, "pci")
				_ = w.CreateKey(ctx, creation(k, version(k, "first")))
			})
			all.Go(func() { <-begin; _ = w.DeletePolicy(ctx, "pci", anyPolicy, unused("pci")) })
		}
		close(begin)
		all.Wait()
		checkWhole(t, w)
		if _, err := w.Policy(ctx, "pci"); err == nil {
			bound++
		} else {
			deleted++
		}
	}
	t.Logf("%d rounds ended bound, %d deleted", bound, deleted)
}

// TestKeyThatIsBeingBoundHoldsItsPolicy is the race above at its one dangerous moment: the policy was found, the record
// is not written yet.
func TestKeyThatIsBeingBoundHoldsItsPolicy(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "")
	w.create(t, "orders", "")
	var done atomic.Bool
	deletion := make(chan error, 1)
	slow := w.store.On(hooked{w.disk, "keys/orders", func() {
		go func() {
			deletion <- w.DeletePolicy(ctx, "pci", anyPolicy, unused("pci"))
			done.Store(true)
		}()
		giveWay(&done)
	}}, who)
	_, err := slow.Keys().UpdateKey(ctx, "orders", configure(func(k *lifecycle.Key) { k.Policy = "pci" }))
	require.NoError(t, err)
	require.ErrorIs(t, <-deletion, refusal.ErrRefused)
	checkWhole(t, w)
}

// TestRescheduleOfARevisionBeginsWhenItIsInForce is about a tick that comes while a policy is being written: what it
// does by the old revision must not count for the new one.
func TestRescheduleOfARevisionBeginsWhenItIsInForce(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "first")
	var done atomic.Bool
	seen := make(chan int, 1)
	slow := &world{disk: w.disk, store: w.store}
	slow.on(hooked{w.disk, "policies/pci", func() {
		go func() { seen <- tickReschedules(w, &done) }()
		giveWay(&done)
	}})
	_, err := slow.PutPolicy(ctx, "pci", revise("pci", "second"))
	require.NoError(t, err)
	if <-seen == 2 {
		return
	}
	names, err := w.PendingReindexes(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"pci"}, names, "the keys were rescheduled by the old revision only")
}

// tickReschedules does what the tick does of a reschedule, and returns the revision it went by.
func tickReschedules(w *world, done *atomic.Bool) int {
	defer done.Store(true)
	_, revision, err := w.ReindexCursor(ctx, "pci")
	if err != nil {
		return 0
	}
	p, err := w.Policy(ctx, "pci")
	if err != nil {
		return 0
	}
	_ = w.SaveReindexCursor(ctx, "pci", revision, "", true)
	return p.Revision
}
