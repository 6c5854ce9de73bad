// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

func TestUpsertIsAllowedUntilDisabled(t *testing.T) {
	w := newWorld()
	for _, disable := range []bool{false, true, true, false} {
		require.NoError(t, w.SetDisableUpsert(ctx, disable))
		got, err := w.DisableUpsert(ctx)
		require.NoError(t, err)
		require.Equal(t, disable, got)
	}
}

func TestSettingWhatIsSetWritesNothing(t *testing.T) {
	w := newWorld()
	require.NoError(t, w.SetDisableUpsert(ctx, false))
	require.NotContains(t, w.entries(t), "config/keys")
	require.NoError(t, w.SetDisableUpsert(ctx, true))
	w.disk.Reset()
	require.NoError(t, w.SetDisableUpsert(ctx, true))
	require.Zero(t, w.disk.Reset().Writes())
}

func TestTheSizeOfTheCacheIsWhatWasSetLast(t *testing.T) {
	w := newWorld()
	size, err := w.CacheSize(ctx)
	require.NoError(t, err)
	require.Zero(t, size)
	for _, want := range []int{10, 20, 0} {
		require.NoError(t, w.SetCacheSize(ctx, want))
		size, err := w.CacheSize(ctx)
		require.NoError(t, err)
		require.Equal(t, want, size)
	}
	w.disk.Reset()
	require.NoError(t, w.SetCacheSize(ctx, 0))
	require.Zero(t, w.disk.Reset().Writes())
	require.Equal(t, "configure-cache done; configure-cache done; configure-cache done", w.story(t, custody.MountChain))
}
