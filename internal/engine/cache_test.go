// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// load returns a loader that counts its calls.
func load(calls *int, value string, during func()) func() (string, error) {
	return func() (string, error) {
		*calls++
		if during != nil {
			during()
		}
		return value, nil
	}
}

func TestASnapshotIsLoadedOnce(t *testing.T) {
	c, calls := newCache[string, string](8), 0
	for range 3 {
		got, err := c.get("k", load(&calls, "v", nil))
		require.NoError(t, err)
		require.Equal(t, "v", got)
	}
	require.Equal(t, 1, calls)
}

func TestWhatALoadReadBeforeAChangeIsNotKept(t *testing.T) {
	c, calls := newCache[string, string](8), 0
	_, err := c.get("k", load(&calls, "old", func() { c.drop("k") }))
	require.NoError(t, err)
	got, err := c.get("k", load(&calls, "new", nil))
	require.NoError(t, err)
	require.Equal(t, "new", got)
}

func TestAFailedLoadIsNotKept(t *testing.T) {
	c, calls := newCache[string, string](8), 0
	_, err := c.get("k", func() (string, error) { return "junk", errors.New("x") })
	require.Error(t, err)
	got, err := c.get("k", load(&calls, "v", nil))
	require.NoError(t, err)
	require.Equal(t, "v", got)
}

func TestTheCacheIsBounded(t *testing.T) {
	c, calls := newCache[int, string](2), 0
	for i := range 3 {
		_, err := c.get(i, load(&calls, "v", nil))
		require.NoError(t, err)
	}
	require.Equal(t, 2, c.lru.Len())
	_, err := c.get(0, load(&calls, "v", nil))
	require.NoError(t, err)
	require.Equal(t, 4, calls, "the least recently used one had gone")
}

func TestADisabledCacheKeepsNothing(t *testing.T) {
	c, calls := newCache[string, string](8), 0
	_, err := c.get("k", load(&calls, "v", c.disable))
	require.NoError(t, err)
	_, err = c.get("k", load(&calls, "v", nil))
	require.NoError(t, err)
	require.Equal(t, 2, calls)
	require.Zero(t, c.lru.Len())
}
