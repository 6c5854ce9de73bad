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

// lines reads the journal of a key behind a number, at most so many records.
func lines(t testing.TB, w *world, name string, after, most int) (seqs []int) {
	t.Helper()
	for line, err := range w.Lines(ctx, name, after) {
		require.NoError(t, err)
		stored, err := w.Line(ctx, name, line.Seq)
		require.NoError(t, err)
		require.Equal(t, stored, line.Text)
		if seqs = append(seqs, line.Seq); len(seqs) == most {
			break
		}
	}
	return seqs
}

func TestARecordThatIsMissingHidesNoneBehindIt(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.grow(t, "orders", 3)
	for seq, want := range map[int][]int{1: {2, 3, 4, 5, 6}, 2: {1, 3, 4, 5, 6}, 6: {1, 2, 3, 4, 5}} {
		w.on(vanishing{w.disk, fmt.Sprintf("journal/orders/%010d", seq)})
		require.Equal(t, want, lines(t, w, "orders", 0, 9), "without %d", seq)
	}
	w.on(w.disk)
	w.plant(t, "journal/orders/0000000900", "{}")
	require.Equal(t, []int{5, 6, 900}, lines(t, w, "orders", 4, 9))
	require.Equal(t, []int{900}, lines(t, w, "orders", 6, 9))
	require.Empty(t, lines(t, w, "orders", 900, 9))
}

func TestAJournalIsListedOnlyForWhatLiesBehindAGap(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.grow(t, "orders", 3)
	w.disk.Reset()
	require.Len(t, lines(t, w, "orders", 0, 5), 5)
	require.Zero(t, w.disk.Reset().Lists)
	require.Len(t, lines(t, w, "orders", 0, 9), 6)
	require.Equal(t, 1, w.disk.Reset().Lists)
}

func TestAJournalThatCannotBeListedIsNotOneThatEnds(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.on(noLists{w.disk})
	var read int
	var failed error
	for _, err := range w.Lines(ctx, "orders", 0) {
		if failed = err; err == nil {
			read++
		}
	}
	require.Equal(t, 2, read)
	require.ErrorIs(t, failed, errRead)
}

// noLists is a storage that cannot be listed.
type noLists struct{ logical.Storage }

func (noLists) List(context.Context, string) ([]string, error) { return nil, errRead }

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
