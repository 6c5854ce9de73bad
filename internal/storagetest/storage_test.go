// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package storagetest_test

import (
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

func put(t *testing.T, s *storagetest.Storage, path, value string) error {
	t.Helper()
	return s.Put(t.Context(), &logical.StorageEntry{Key: path, Value: []byte(value)})
}

func requireStored(t *testing.T, s *storagetest.Storage, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	all, err := s.Dump(t.Context())
	require.NoError(t, err)
	for path, value := range all {
		got[path] = string(value)
	}
	require.Equal(t, want, got)
}

func TestAWriteThatFailsMeetsItsFate(t *testing.T) {
	for fate, now := range map[storagetest.Fate]string{storagetest.Lost: "old", storagetest.Applied: "new", storagetest.Late: "old"} {
		s := storagetest.New()
		require.NoError(t, put(t, s, "a", "old"))
		s.FailWriteAs(1, fate)
		require.ErrorIs(t, put(t, s, "a", "new"), storagetest.ErrInjected)
		require.True(t, s.Fired())
		entry, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, now, string(entry.Value), fate)
	}
}

func TestALateWriteLandsBeforeTheNextWrite(t *testing.T) {
	s := storagetest.New()
	s.FailWriteLate(2)
	require.NoError(t, put(t, s, "a", "first"))
	require.Error(t, put(t, s, "a", "late"))
	s.Heal()
	requireStored(t, s, map[string]string{"a": "first"})
	require.NoError(t, s.Delete(t.Context(), "b"))
	requireStored(t, s, map[string]string{"a": "late"})
	require.NoError(t, put(t, s, "a", "last"))
	requireStored(t, s, map[string]string{"a": "last"})
}

func TestLateWritesLandInTheOrderTheyWereMade(t *testing.T) {
	s := storagetest.New()
	for _, value := range []string{"one", "two"} {
		s.FailWriteLate(1)
		require.Error(t, put(t, s, "a", value))
	}
	requireStored(t, s, map[string]string{})
	require.NoError(t, s.Land())
	requireStored(t, s, map[string]string{"a": "two"})
}
