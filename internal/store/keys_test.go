// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"errors"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

func TestNameIsTakenOnce(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	before := w.entries(t)
	k := newKey(t, "orders", "")
	err := w.CreateKey(ctx, creation(k, version(k, "second")))
	require.ErrorIs(t, err, refusal.ErrExists)
	require.EqualError(t, err, "key orders already existed")
	require.Equal(t, before, w.entries(t))
}

func TestMissingThingsAreNotFound(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	_, err := w.Key(ctx, "other")
	require.ErrorIs(t, err, refusal.ErrNotFound)
	_, err = w.UpdateKey(ctx, "other", rotate("x"))
	require.ErrorIs(t, err, refusal.ErrNotFound)
	for _, n := range []int{-1, 0, 2} {
		_, err = w.Version(ctx, "orders", n)
		require.ErrorIs(t, err, refusal.ErrNotFound)
	}
	_, err = w.Policy(ctx, "pci")
	require.ErrorIs(t, err, refusal.ErrNotFound)
	_, err = w.PolicyRevision(ctx, "pci", 1)
	require.ErrorIs(t, err, refusal.ErrNotFound)
	_, found, err := emptyWorld().Keyring(ctx)
	require.NoError(t, err)
	require.False(t, found)
	_, err = w.Archived(ctx, "orders", 1)
	require.ErrorIs(t, err, refusal.ErrNotFound)
}

func TestErrorOfAnActComesBackAsItIsAndWritesNothing(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	before := w.entries(t)
	refusal := errors.New("not now")
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		c, _ := rotate("x")(k)
		return c, refusal
	})
	require.Equal(t, refusal, err)
	require.Equal(t, before, w.entries(t))
}

func TestActGetsTheCommittedKey(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	want := w.grow(t, "orders", 3)
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		require.Equal(t, want, k)
		return lifecycle.Commit{Key: k}, nil
	})
	require.NoError(t, err)
}

func TestNamesAreListedInAlphabeticalOrder(t *testing.T) {
	w := newWorld()
	for _, name := range []string{"b", "a-2", "a.1", "c", "B"} {
		w.create(t, name, "")
		w.putPolicy(t, name, "")
	}
	want := []string{"B", "a-2", "a.1", "b", "c"}
	keys, err := w.KeyNames(ctx)
	require.NoError(t, err)
	require.Equal(t, want, keys)
	policies, err := w.PolicyNames(ctx)
	require.NoError(t, err)
	require.Equal(t, want, policies)
}

func TestPathsTellWhatACacheHasToForget(t *testing.T) {
	name, ok := store.KeyOf("keys/orders")
	require.True(t, ok)
	require.Equal(t, "orders", name)
	name, ok = store.PolicyOf("policies/pci")
	require.True(t, ok)
	require.Equal(t, "pci", name)
	require.True(t, store.IsKeyring("config/kek") && store.IsKeyring("config/archive-kek"))

	for _, path := range []string{"versions/orders/1", "config/keys", "revisions/pci/1", "schedule/20260301T1300/orders", ""} {
		_, key := store.KeyOf(path)
		_, policy := store.PolicyOf(path)
		require.False(t, key || policy || store.IsKeyring(path), path)
	}
}
