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

func TestAGroupIsDroppedAsAWholeAndForgottenWithItsLast(t *testing.T) {
	c, calls := newGroups[string, string](3, func(key string) string { return key[:1] }), 0
	get := func(keys ...string) (loads int) {
		before := calls
		for _, key := range keys {
			_, err := c.get(key, load(&calls, "v", nil))
			require.NoError(t, err)
		}
		return calls - before
	}
	get("a1", "a2", "b1")
	c.dropGroup("a")
	require.Equal(t, 0, get("b1"))
	require.Equal(t, 2, get("a1", "a2"))
	_, err := c.get("a3", load(&calls, "old", func() { c.dropGroup("a") }))
	require.NoError(t, err)
	require.Equal(t, 1, get("a3"), "what was being loaded is not kept")
	get("c1", "c2", "c3")
	require.Equal(t, 3, c.lru.Len())
	require.Len(t, c.groups, 1, "groups whose last member went are forgotten")
	c.drop("c1")
	c.disable()
	require.Empty(t, c.groups)
}
