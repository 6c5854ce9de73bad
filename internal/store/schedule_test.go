// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDueIndexListsMinutesOldestFirst(t *testing.T) {
	w := newWorld()
	for _, after := range []time.Duration{50 * 365 * 24 * time.Hour, time.Hour, 59 * time.Second, 0, 24 * time.Hour, time.Minute} {
		require.NoError(t, w.AddDue(ctx, start.Add(after), "orders"))
	}
	minutes, err := w.DueMinutes(ctx)
	require.NoError(t, err)
	require.Equal(t, []time.Time{
		start, start.Add(time.Minute), start.Add(time.Hour), start.Add(24 * time.Hour), start.Add(50 * 365 * 24 * time.Hour),
	}, minutes)
}

func TestDueIndexCountsMinutesInUTC(t *testing.T) {
	w := newWorld()
	east := start.In(time.FixedZone("east", 5*3600+1800))
	require.NoError(t, w.AddDue(ctx, east.Add(59*time.Second), "orders"))
	names, err := w.KeysDue(ctx, start)
	require.NoError(t, err)
	require.Equal(t, []string{"orders"}, names)
	listed, err := w.IsListed(ctx, start.Add(30*time.Second), "orders")
	require.NoError(t, err)
	require.True(t, listed)
	listed, err = w.IsListed(ctx, start.Add(time.Minute), "orders")
	require.NoError(t, err)
	require.False(t, listed)
}

func TestEntryThatIsNoMinuteIsPassedOver(t *testing.T) {
	w := newWorld()
	w.plant(t, "schedule/whatever/orders", "{}")
	w.plant(t, "schedule/20260301T1200", "{}")
	require.NoError(t, w.AddDue(ctx, start, "orders"))
	minutes, err := w.DueMinutes(ctx)
	require.NoError(t, err)
	require.Equal(t, []time.Time{start}, minutes)
}

func TestRemovingKeepsTheEntryThatTheRecordConfirms(t *testing.T) {
	w := newWorld()
	k := w.create(t, "orders", "")
	require.NoError(t, w.AddDue(ctx, start, "orders"))
	require.NoError(t, w.AddDue(ctx, start, "deleted"))

	require.NoError(t, w.RemoveDue(ctx, start, "orders"))
	require.NoError(t, w.RemoveDue(ctx, start, "deleted"))
	require.NoError(t, w.RemoveDue(ctx, k.Due.Add(30*time.Second), "orders"))
	minutes, err := w.DueMinutes(ctx)
	require.NoError(t, err)
	require.Equal(t, []time.Time{k.Due}, minutes)
}

func TestRemovingKeepsTheEntryOfAKeyThatCannotBeRead(t *testing.T) {
	w := newWorld()
	w.plant(t, "keys/orders", "damaged")
	require.NoError(t, w.AddDue(ctx, start, "orders"))
	require.ErrorContains(t, w.RemoveDue(ctx, start, "orders"), "keys/orders")
	listed, err := w.IsListed(ctx, start, "orders")
	require.NoError(t, err)
	require.True(t, listed)
}

func TestDeferMovesAnEntryWithoutTheRecord(t *testing.T) {
	w := newWorld()
	w.plant(t, "keys/orders", "damaged")
	require.NoError(t, w.AddDue(ctx, start, "orders"))
	require.NoError(t, w.PostponeDue(ctx, start, start.Add(10*time.Minute), "orders"))
	minutes, err := w.DueMinutes(ctx)
	require.NoError(t, err)
	require.Equal(t, []time.Time{start.Add(10 * time.Minute)}, minutes)
}

func TestDeferThatFailsKeepsAnEntry(t *testing.T) {
	for at := 1; at <= 2; at++ {
		w := newWorld()
		require.NoError(t, w.AddDue(ctx, start, "orders"))
		w.disk.FailWrite(at, false)
		require.Error(t, w.PostponeDue(ctx, start, start.Add(10*time.Minute), "orders"))
		listed, err := w.IsListed(ctx, start, "orders")
		require.NoError(t, err)
		require.True(t, listed)
	}
}
