// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
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
