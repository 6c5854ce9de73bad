// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observe

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryFieldHasAName(t *testing.T) {
	var c Counters
	assert.Len(t, c.Operations.All(), reflect.TypeFor[Operations]().NumField())
	assert.Len(t, c.Caches.All(), reflect.TypeFor[Caches]().NumField())
	assert.Len(t, c.Storage.All(), reflect.TypeFor[Storage]().NumField())
	assert.Len(t, c.HSM.All(), reflect.TypeFor[HSM]().NumField())
	for _, op := range c.Operations.All() {
		require.Len(t, op.Of.Results(), reflect.TypeFor[Operation]().NumField()-1, "one is of bytes")
	}
}

func TestOnlyDeclaredCountersCount(t *testing.T) {
	var c Counts
	c.Add(Labels{"a", "b"}, 1)
	require.Empty(t, c.All())
	c.Declare(Labels{"b", "x"}, Labels{"a", "y"}, Labels{"a", "x"})
	c.Add(Labels{"a", "y"}, 2)
	c.Declare(Labels{"a", "y"}, Labels{"c"})
	c.Add(Labels{"a", "y"}, 3)
	c.Add(Labels{"z"}, 9)
	require.Equal(t, []Count{{Labels{"a", "x"}, 0}, {Labels{"a", "y"}, 5}, {Labels{"b", "x"}, 0}, {Labels{"c"}, 0}}, c.All())
}

func TestCallsAreCountedByResultAndDuration(t *testing.T) {
	var c Call
	ctx, cancel := context.WithCancel(t.Context())
	c.Ended(ctx, time.Millisecond, nil)
	c.Ended(ctx, time.Millisecond+1, errors.New("away"))
	c.Ended(ctx, time.Minute, nil)
	c.Ended(ctx, -time.Second, nil) // the clock was set back
	cancel()
	c.Ended(ctx, time.Second, ctx.Err())
	c.Ended(ctx, 0, nil)
	require.Equal(t, []Named[int64]{{"ok", 4}, {"error", 1}, {"canceled", 1}}, c.Results())
	d := c.Durations()
	require.Equal(t, uint64(6), d.Count)
	require.InDelta(t, 61.002, d.Seconds, 1e-6)
	require.Equal(t, map[float64]uint64{0.001: 3, 0.01: 4, 0.1: 4, 1: 5, 10: 5}, d.UpTo)
}

func TestAnObserverIsMadeWhereThereIsNone(t *testing.T) {
	var none *Observer
	require.NotNil(t, none.OrNew())
	one := New()
	require.Same(t, one, one.OrNew())
}
