// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// withOldKey arranges a bound key of so many versions; what the entries of the versions hold does not matter here.
func withOldKey(t *testing.T, w *world, versions int) {
	t.Helper()
	w.putPolicy(t, "pci", "")
	w.old(t, "orders", "pci", versions)
	for n := 1; n <= versions; n++ {
		w.plant(t, fmt.Sprintf("versions/orders/%d", n), "{}")
	}
	for page := range versions / store.PageSize {
		w.plant(t, fmt.Sprintf("dates/orders/%d", page), "{}")
	}
}

func TestDeletionOfAManyVersionedKeyGoesOnOverSeveralCalls(t *testing.T) {
	w := newWorld()
	withOldKey(t, w, 3000)
	w.disk.Reset()
	k, err := w.DeleteKey(ctx, "orders", anyKey, "")
	require.NoError(t, err)
	require.Equal(t, 3000, k.Latest)
	_, err = w.Key(ctx, "orders")
	require.ErrorIs(t, err, refusal.ErrNotFound)

	left := []int{3000 - 1024, 3000 - 2048, 0}
	for call, want := range left {
		if call > 0 {
			require.NoError(t, w.FinishErasure(ctx, "orders"))
		}
		require.LessOrEqual(t, w.disk.Reset().Writes(), 1024+9, "one request is bounded")
		require.Len(t, w.versions(t, "orders"), want)
		names, err := w.Erasures(ctx)
		require.NoError(t, err)
		require.Equal(t, want > 0, len(names) == 1, "the intent stays as long as there is something to do")
	}
	require.Empty(t, w.of(t, "orders"))
}

func (w *world) versions(t *testing.T, key string) []string {
	t.Helper()
	var paths []string
	for _, path := range w.of(t, key) {
		if strings.HasPrefix(path, "versions/") {
			paths = append(paths, path)
		}
	}
	return paths
}

func TestNewKeyOfAHalfDeletedNameGetsNothingOfTheOld(t *testing.T) {
	w := newWorld()
	withOldKey(t, w, 3000)
	_, err := w.DeleteKey(ctx, "orders", anyKey, "")
	require.NoError(t, err)
	require.NotEmpty(t, w.of(t, "orders"))

	require.NoError(t, createOrders("")(w, "new"))
	require.ElementsMatch(t, []string{"keys/orders", "versions/orders/1", "schedule/20260301T1300/orders"}, w.of(t, "orders"))
	checkWhole(t, w)
	require.NoError(t, w.FinishErasure(ctx, "orders"))
	checkWhole(t, w)
}

func TestDeletionThatIsNotAllowedChangesNothing(t *testing.T) {
	w := newWorld()
	withKey(2, true)(t, w)
	before := w.entries(t)
	refusal := errors.New("not now")
	_, err := w.DeleteKey(ctx, "orders", func(k lifecycle.Key) error {
		require.Equal(t, 2, k.Latest, "the committed key is asked about")
		return refusal
	}, "")
	require.ErrorIs(t, err, refusal)
	require.Equal(t, before, w.entries(t))
}

func TestDeletingWhatIsNotThereIsNotFound(t *testing.T) {
	w := emptyWorld()
	_, err := w.DeleteKey(ctx, "orders", func(lifecycle.Key) error { panic("internal error: asked about no key") }, "")
	require.ErrorIs(t, err, refusal.ErrNotFound)
	require.NoError(t, w.FinishErasure(ctx, "orders"))
	require.Empty(t, w.entries(t))
}

func TestDeletionTakesTheLeavingsOfLostRotationsAlong(t *testing.T) {
	w := newWorld()
	withKey(2, false)(t, w)
	w.disk.FailWriteAs(3, storagetest.Last) // custody, version, record
	require.Error(t, rotateOrders(w, "lost"))
	w.disk.Heal()
	require.Contains(t, w.of(t, "orders"), "versions/orders/3")

	require.NoError(t, deleteOrders(w, ""))
	require.Empty(t, w.of(t, "orders"))
}

func TestDeletionLeavesKeysOfSimilarNames(t *testing.T) {
	w := newWorld()
	for _, name := range []string{"order", "orders", "orders2"} {
		w.create(t, name, "")
	}
	require.NoError(t, deleteOrders(w, ""))
	names, err := w.KeyNames(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"order", "orders2"}, names)
	checkWhole(t, w)
}
