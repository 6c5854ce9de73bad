// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package cache

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counted returns a loader that counts its calls.
func counted(calls *int, value string, during func()) func() (string, error) {
	return func() (string, error) {
		*calls++
		if during != nil {
			during()
		}
		return value, nil
	}
}

func TestASnapshotIsLoadedOnce(t *testing.T) {
	c, calls := New[string, string](8), 0
	for range 3 {
		got, err := c.Load("k", counted(&calls, "v", nil))
		require.NoError(t, err)
		require.Equal(t, "v", got)
	}
	require.Equal(t, 1, calls)
}

func TestWhatALoadReadBeforeAChangeIsNotKept(t *testing.T) {
	c, calls := New[string, string](8), 0
	_, err := c.Load("k", counted(&calls, "old", func() { c.Drop("k") }))
	require.NoError(t, err)
	got, err := c.Load("k", counted(&calls, "new", nil))
	require.NoError(t, err)
	require.Equal(t, "new", got)
}

func TestAFailedLoadIsNotKept(t *testing.T) {
	c, calls := New[string, string](8), 0
	_, err := c.Load("k", func() (string, error) { return "junk", errors.New("x") })
	require.Error(t, err)
	got, err := c.Load("k", counted(&calls, "v", nil))
	require.NoError(t, err)
	require.Equal(t, "v", got)
}

func TestTheCacheIsBounded(t *testing.T) {
	c, calls := New[int, string](2), 0
	for i := range 3 {
		_, err := c.Load(i, counted(&calls, "v", nil))
		require.NoError(t, err)
	}
	require.Equal(t, 2, c.Len())
	_, err := c.Load(0, counted(&calls, "v", nil))
	require.NoError(t, err)
	require.Equal(t, 4, calls, "the least recently used one had gone")
}

func TestADisabledCacheKeepsNothing(t *testing.T) {
	c, calls := New[string, string](8), 0
	_, err := c.Load("k", counted(&calls, "v", c.Disable))
	require.NoError(t, err)
	_, err = c.Load("k", counted(&calls, "v", nil))
	require.NoError(t, err)
	require.Equal(t, 2, calls)
	require.Zero(t, c.Len())
}

func TestAGroupIsDroppedAsAWholeAndForgottenWithItsLast(t *testing.T) {
	c, calls := NewGrouped[string, string](3, func(key string) string { return key[:1] }), 0
	get := func(keys ...string) (loads int) {
		before := calls
		for _, key := range keys {
			_, err := c.Load(key, counted(&calls, "v", nil))
			require.NoError(t, err)
		}
		return calls - before
	}
	get("a1", "a2", "b1")
	c.DropGroup("a")
	require.Equal(t, 0, get("b1"))
	require.Equal(t, 2, get("a1", "a2"))
	_, err := c.Load("a3", counted(&calls, "old", func() { c.DropGroup("a") }))
	require.NoError(t, err)
	require.Equal(t, 1, get("a3"), "what was being loaded is not kept")
	get("c1", "c2", "c3")
	require.Equal(t, 3, c.Len())
	require.Len(t, c.groups, 1, "groups whose last member went are forgotten")
	c.Drop("c1")
	c.Disable()
	require.Empty(t, c.groups)
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for !done() {
		require.NoError(t, t.Context().Err())
		runtime.Gosched()
	}
}

// startAll calls so many times at once.
func startAll(n int, call func()) (wait func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(call)
	}
	return all.Wait
}

func TestManyCallersOfASnapshotThatIsNotThereCauseOneLoad(t *testing.T) {
	c := New[string, string](8)
	var loads, asked atomic.Int32
	release := make(chan struct{})
	wait := startAll(64, func() {
		asked.Add(1)
		got, err := c.LoadOnce(t.Context(), "k", func() (string, error) {
			loads.Add(1)
			<-release
			return "v", nil
		})
		assert.NoError(t, err)
		assert.Equal(t, "v", got)
	})
	eventually(t, func() bool { return asked.Load() == 64 && loads.Load() == 1 })
	other, err := c.LoadOnce(t.Context(), "other", func() (string, error) { return "o", nil })
	require.NoError(t, err, "a load holds up nobody who asks for something else")
	require.Equal(t, "o", other)
	close(release)
	wait()
	require.EqualValues(t, 1, loads.Load())
	require.Empty(t, c.loading)
}

func TestWhoAsksAfterADropDoesNotWaitForWhatWasReadBeforeIt(t *testing.T) {
	c := New[string, string](8)
	got, err := c.LoadOnce(t.Context(), "k", func() (string, error) {
		c.Drop("k")
		fresh, err := c.LoadOnce(t.Context(), "k", func() (string, error) { return "new", nil })
		require.NoError(t, err)
		require.Equal(t, "new", fresh)
		return "old", nil
	})
	require.NoError(t, err)
	require.Equal(t, "old", got)
	kept, ok := c.Get("k")
	require.True(t, ok)
	require.Equal(t, "new", kept)
}

func TestNobodyFailsBecauseTheOneWhoLoadedGaveUp(t *testing.T) {
	for name, lead := range map[string]func(ctx context.Context, c *Cache[string, string], begun, end chan struct{}){
		"its context ended": func(ctx context.Context, c *Cache[string, string], begun, end chan struct{}) {
			ctx, cancel := context.WithCancel(ctx)
			_, err := c.LoadOnce(ctx, "k", func() (string, error) {
				close(begun)
				<-end
				cancel()
				return "", ctx.Err()
			})
			assert.Error(t, err)
		},
		"it panicked": func(ctx context.Context, c *Cache[string, string], begun, end chan struct{}) {
			defer func() { assert.Equal(t, "boom", recover()) }()
			_, _ = c.LoadOnce(ctx, "k", func() (string, error) {
				close(begun)
				<-end
				panic("boom")
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := New[string, string](8)
			begun, end := make(chan struct{}), make(chan struct{})
			leader := startAll(1, func() { lead(t.Context(), c, begun, end) })
			<-begun
			follower := startAll(1, func() {
				got, err := c.LoadOnce(t.Context(), "k", func() (string, error) { return "mine", nil })
				assert.NoError(t, err)
				assert.Equal(t, "mine", got)
			})
			close(end)
			leader()
			follower()
		})
	}
}

func TestACallerWaitsNoLongerThanItsOwnContext(t *testing.T) {
	c := New[string, string](8)
	_, err := c.LoadOnce(t.Context(), "k", func() (string, error) {
		over, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.LoadOnce(over, "k", func() (string, error) { return "", errors.New("was loaded twice") })
		require.ErrorIs(t, err, context.Canceled)
		return "v", nil
	})
	require.NoError(t, err)
}

func TestAllCallersOfAValueThatIsAddedHaveTheSameOne(t *testing.T) {
	c := New[int, *int](8)
	for n := range 200 {
		got := make(chan *int, 8)
		startAll(8, func() { got <- c.GetOrAdd(n, func() *int { return new(int) }) })()
		first := <-got
		for range 7 {
			require.Same(t, first, <-got)
		}
	}
}

func TestWhereNothingIsKeptEveryCallerLoadsForItself(t *testing.T) {
	c := New[string, string](8)
	c.Disable()
	got, err := c.LoadOnce(t.Context(), "k", func() (string, error) {
		return c.LoadOnce(t.Context(), "k", func() (string, error) { return "inner", nil })
	})
	require.NoError(t, err)
	require.Equal(t, "inner", got)
}

func TestASnapshotThatIsNotUsableIsLoadedAnewAndStaysWhereThatFails(t *testing.T) {
	c := New[string, int](8)
	atLeast := func(n int) func(int) bool { return func(v int) bool { return v >= n } }
	read := func(v int, err error) func() (int, error) { return func() (int, error) { return v, err } }
	got, err := c.Renew(t.Context(), "k", atLeast(1), read(1, nil))
	require.NoError(t, err)
	require.Equal(t, 1, got)
	got, err = c.Renew(t.Context(), "k", atLeast(1), read(2, nil))
	require.NoError(t, err)
	require.Equal(t, 1, got, "it is usable")
	broken := errors.New("broken")
	_, err = c.Renew(t.Context(), "k", atLeast(2), read(0, broken))
	require.ErrorIs(t, err, broken)
	got, ok := c.Get("k")
	require.True(t, ok)
	require.Equal(t, 1, got)
	got, err = c.Renew(t.Context(), "k", atLeast(2), read(2, nil))
	require.NoError(t, err)
	require.Equal(t, 2, got)
}

func TestOldSnapshotsAreDroppedAndNewOnesStay(t *testing.T) {
	c := NewGrouped[int, int](8, func(int) string { return "all" })
	for n := range 4 {
		_, err := c.Load(n, func() (int, error) { return n, nil })
		require.NoError(t, err)
	}
	_, err := c.LoadOnce(t.Context(), 7, func() (int, error) {
		c.DropIf(func(v int) bool { return v%2 == 0 })
		return 8, nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, c.Len())
	_, ok := c.Get(7)
	require.True(t, ok, "what was being loaded is new")
	_, ok = c.Get(2)
	require.False(t, ok)
}
