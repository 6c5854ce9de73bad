// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"context"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// vaultStorage is the storage of an external plugin: a call whose context ends comes back at once, and what it asked for
// happens later.
type vaultStorage struct {
	*storagetest.Storage
	late *[]func()
}

func (v vaultStorage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	return v.write(ctx, func(ctx context.Context) error { return v.Storage.Put(ctx, entry) })
}

func (v vaultStorage) Delete(ctx context.Context, path string) error {
	return v.write(ctx, func(ctx context.Context) error { return v.Storage.Delete(ctx, path) })
}

func (v vaultStorage) write(ctx context.Context, do func(context.Context) error) error {
	if ctx.Err() == nil {
		return do(ctx)
	}
	*v.late = append(*v.late, func() { _ = do(context.WithoutCancel(ctx)) })
	return ctx.Err()
}

// ending is a storage that ends the request at its n-th write.
type ending struct {
	logical.Storage
	left *int
	end  func()
}

func (e ending) countDown() {
	if *e.left--; *e.left == 0 {
		e.end()
	}
}

func (e ending) Put(ctx context.Context, entry *logical.StorageEntry) error {
	e.countDown()
	return e.Storage.Put(ctx, entry)
}

func (e ending) Delete(ctx context.Context, path string) error {
	e.countDown()
	return e.Storage.Delete(ctx, path)
}

func TestAnActGoesOnWhenItsRequestEndsInTheMiddle(t *testing.T) {
	acts := map[string]func(ctx context.Context, w *world) error{
		"rotate": func(ctx context.Context, w *world) error {
			_, err := w.UpdateKey(ctx, "orders", rotate("first"))
			return err
		},
		"delete": func(ctx context.Context, w *world) error {
			_, err := w.Keys.DeleteKey(ctx, "orders", anyKey, "")
			return err
		},
		"create": func(ctx context.Context, w *world) error {
			k := newKey(t, "other", "")
			return w.CreateKey(ctx, creation(k, version(k, "first")))
		},
	}
	for name, do := range acts {
		for at := 1; at <= 4; at++ {
			w := newWorld()
			w.create(t, "orders", "")
			request, end := context.WithCancel(ctx)
			var late []func()
			left := at
			w.on(ending{vaultStorage{w.disk, &late}, &left, end})
			require.NoError(t, do(request, w), "%s, ended at write %d", name, at)
			require.LessOrEqual(t, left, 0)
			require.Empty(t, late, "%s, ended at write %d: something lands after the lock was given up", name, at)
			w.on(w.disk)
			checkWhole(t, w)
		}
	}
}

func TestAnActOfARequestThatHasEndedDoesNotBegin(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	before := w.entries(t)
	request, end := context.WithCancel(ctx)
	_, err := w.UpdateKey(request, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		end()
		return rotate("first")(k)
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, before, w.entries(t))
}

func TestWhoWaitsForAKeyGivesUpWithItsRequest(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		request, end := context.WithCancel(ctx)
		end()
		_, err := w.UpdateKey(request, "orders", rotate("first")) // would hang
		require.ErrorIs(t, err, context.Canceled)
		_, err = w.JournalHead(request, "orders")
		require.ErrorIs(t, err, context.Canceled)
		return lifecycle.Commit{Key: k}, nil
	})
	require.NoError(t, err)
	require.Zero(t, store.Held(w.store))
}

func TestARecordThatLandsLateIsNotDenied(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.disk.FailWriteLate(3) // custody, version, record
	require.NoError(t, rotateOrders(w, "first"), "the act finds out that it happened")
	w.disk.Heal()
	require.Equal(t, "create done; rotate done, recovered", w.story(t, "orders"))
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, 2, k.Latest)
	checkWhole(t, w)
}

func TestTheFirstWriterAfterAStartWaitsForWhatTheProcessBeforeItHasBegun(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.disk.FailWriteLate(3)
	_, _ = w.store.On(dying{w.disk}, who).Keys().UpdateKey(ctx, "orders", rotate("first")) // the process ends with it
	w.disk.Heal()
	w.restart()
	require.NoError(t, update(func(k *lifecycle.Key) { k.Owner = "else" })(w, ""))
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, 2, k.Latest, "the rotation landed, and was not overwritten by who had not seen it")
	require.Equal(t, "create done; rotate done, recovered; configure done", w.story(t, "orders"))
	checkWhole(t, w)
}

// dying is a storage that takes no write after one that failed.
type dying struct{ *storagetest.Storage }

func (d dying) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if d.Fired() {
		return storagetest.ErrInjected
	}
	return d.Storage.Put(ctx, entry)
}
