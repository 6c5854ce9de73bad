// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// vanishing is a storage that lists an entry and does not have it any more: a snapshot is restored in between.
type vanishing struct {
	logical.Storage
	path string
}

func (v vanishing) Get(ctx context.Context, path string) (*logical.StorageEntry, error) {
	if path == v.path {
		return nil, nil // as a storage says that there is none
	}
	return v.Storage.Get(ctx, path)
}

func TestJournalLeavesOutARecordThatVanishesWhileItIsRead(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.grow(t, "orders", 3)
	all, err := w.Journal(ctx, "orders", 0, 100)
	require.NoError(t, err)
	for seq, want := range map[int]store.Page{
		2: {Lines: []string{all.Lines[0], all.Lines[2]}, Last: 3, More: true},
		6: {Lines: all.Lines[:2], Last: 2, More: true},
	} {
		w.on(vanishing{w.disk, fmt.Sprintf("journal/orders/%010d", seq)})
		page, err := w.Journal(ctx, "orders", 0, 2)
		require.NoError(t, err)
		require.Equal(t, want, page, "without %d", seq)
	}
	last, err := w.Journal(ctx, "orders", 5, 2)
	require.NoError(t, err)
	require.Equal(t, store.Page{Last: 5}, last)
}

// TestWithoutACacheEveryActReadsTheEndOfItsJournal is about mounts with force_no_cache.
func TestWithoutACacheEveryActReadsTheEndOfItsJournal(t *testing.T) {
	read := func(w *world) (n int) {
		w.on(counting{w.disk, "journal/orders/", &n})
		require.NoError(t, rotateOrders(w, "x"))
		return n
	}
	w := newWorld()
	w.create(t, "orders", "")
	require.Zero(t, read(w))
	w.store.DisableCache()
	require.Positive(t, read(w))
	require.Positive(t, read(w), "what was read is not remembered")
}

// counting is a storage that counts the reads below a prefix.
type counting struct {
	logical.Storage
	prefix string
	n      *int
}

func (c counting) Get(ctx context.Context, path string) (*logical.StorageEntry, error) {
	if strings.HasPrefix(path, c.prefix) {
		*c.n++
	}
	return c.Storage.Get(ctx, path)
}

// TestWhatCannotBeRemovedIsLogged is about storage that takes no delete: the act stands, and somebody can see that something is
// left.
func TestWhatCannotBeRemovedIsLogged(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.on(keeping{w.disk})
	_, err := w.UpdateKey(ctx, "orders", configure(func(k *lifecycle.Key) { k.Due = k.Due.Add(time.Hour) }))
	require.NoError(t, err)
	require.Contains(t, w.log.String(), "stale index entry is left")
	require.Contains(t, w.log.String(), "schedule/20260301T1300/orders")
}

// keeping is a storage that cannot delete.
type keeping struct{ logical.Storage }

func (keeping) Delete(context.Context, string) error { return errors.New("no delete") }
