// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

func TestDatesAreKeptForEveryVersion(t *testing.T) {
	racetest.Skip(t, "one goroutine makes a thousand versions")
	w := newWorld()
	w.create(t, "orders", "")
	for _, versions := range []int{1, 2, 255, 256, 257, 511, 512, 513, 1000} {
		k := w.grow(t, "orders", versions)
		require.Less(t, len(k.Recent), store.PageSize)
		require.Equal(t, versions/store.PageSize, store.Pages(k))
		for _, from := range []int{-1, 0, 1, 2, 255, 256, 257, 258, 513, versions, versions + 1, versions + 100} {
			w.restart()
			got, err := w.Dates(ctx, k, from)
			require.NoError(t, err)
			require.Equal(t, datesOf(from, versions), got, "%d versions, from %d", versions, from)
		}
	}
}

// datesOf is when rotate makes the versions.
func datesOf(from, latest int) map[int]time.Time {
	dates := map[int]time.Time{}
	for n := max(from, 1); n <= latest; n++ {
		dates[n] = start.Add(time.Duration(n-1) * time.Hour)
	}
	return dates
}

func TestCostOfARotationDoesNotGrowWithTheVersions(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	w := newWorld()
	w.create(t, "orders", "")
	w.disk.Reset()
	w.grow(t, "orders", 2)
	early := w.disk.Reset()

	w.old(t, "old", "", 10_000)
	w.disk.Reset()
	w.grow(t, "old", 10_001)
	require.Equal(t, early, w.disk.Reset())

	longest := 0
	for n := range store.PageSize {
		w.grow(t, "old", 10_002+n)
		entry, err := w.disk.Get(ctx, "keys/old")
		require.NoError(t, err)
		longest = max(longest, len(entry.Value))
	}
	require.Less(t, longest, 8<<10, "the record is bounded, at every fill of its page")
}

func TestFullPageIsReadFromStorageOnce(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	w := newWorld()
	w.create(t, "orders", "")
	k := w.grow(t, "orders", 2*store.PageSize+5)
	w.restart()
	w.disk.Reset()

	_, err := w.Dates(ctx, k, store.PageSize+1)
	require.NoError(t, err)
	require.Equal(t, 1, w.disk.Reset().Total(), "the page before is not needed")
	_, err = w.Dates(ctx, k, 1)
	require.NoError(t, err)
	require.Equal(t, 1, w.disk.Reset().Total())
	_, err = w.Dates(ctx, k, 1)
	require.NoError(t, err)
	require.Zero(t, w.disk.Reset().Total())
	_, err = w.Dates(ctx, k, 2*store.PageSize+1)
	require.NoError(t, err)
	require.Zero(t, w.disk.Reset().Total())
}

func TestNewKeyOfAnOldNameHasItsOwnDates(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	w := newWorld()
	w.create(t, "orders", "")
	old := w.grow(t, "orders", store.PageSize)
	_, err := w.Dates(ctx, old, 1) // now the page is cached
	require.NoError(t, err)
	_, err = w.DeleteKey(ctx, "orders", anyKey, "")
	require.NoError(t, err)

	k := newKey(t, "orders", "")
	k.ID = "another"
	require.NoError(t, w.CreateKey(ctx, creation(k, version(k, "first"))))
	for n := range store.PageSize - 1 {
		_, err = w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
			return rotated(k, "second", start.Add(time.Duration(n)*time.Minute))
		})
		require.NoError(t, err)
	}
	k, err = w.Key(ctx, "orders")
	require.NoError(t, err)
	dates, err := w.Dates(ctx, k, 1)
	require.NoError(t, err)
	require.Equal(t, start.Add((store.PageSize-2)*time.Minute), dates[store.PageSize])
}

// TestPageOfAnUncommittedRotationIsWrittenAgain is about the one page that is written twice.
func TestPageOfAnUncommittedRotationIsWrittenAgain(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	w := newWorld()
	w.create(t, "orders", "")
	w.grow(t, "orders", store.PageSize-1)
	w.disk.FailWrite(4, false) // custody, version, page, record
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		return rotated(k, "lost", start)
	})
	require.Error(t, err)
	require.Contains(t, w.entries(t), "dates/orders/0", "the page was written")
	w.disk.Heal()

	k := w.grow(t, "orders", store.PageSize)
	dates, err := w.Dates(ctx, k, 1)
	require.NoError(t, err)
	require.Equal(t, datesOf(1, store.PageSize), dates)
	v, err := w.Version(ctx, "orders", store.PageSize)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("first %d", store.PageSize), string(v.Sealed))
}
