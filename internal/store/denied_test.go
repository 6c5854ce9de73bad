// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// smallestEntry is the least that a storage of Vault takes in one entry: Consul's.
const smallestEntry = 512 << 10

func addDenied(w *world) error {
	_, err := w.AddDenied(ctx, "orders", goldenDenied())
	return err
}

// denied returns what is stored of the denied uses of the key, and nothing of what is remembered.
func (w *world) denied(t *testing.T) map[int]lifecycle.Denials {
	t.Helper()
	w.restart()
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	denied, err := w.Denied(ctx, k, lifecycle.All(k))
	require.NoError(t, err)
	for v := range denied {
		if len(denied) > store.PageSize && v%97 != 0 { // each reads its page
			continue
		}
		one, err := w.Denied(ctx, k, lifecycle.Of(v))
		require.NoError(t, err)
		require.Equal(t, denied[v], one[v], "version %d", v)
	}
	return denied
}

func (w *world) addDenied(t *testing.T, more map[int]lifecycle.Denials) {
	t.Helper()
	left, err := w.AddDenied(ctx, "orders", more)
	require.NoError(t, err)
	require.Empty(t, left)
}

func once(v int) map[int]lifecycle.Denials {
	return map[int]lifecycle.Denials{v: {Count: 1, First: start, Last: start}}
}

func TestDeniedUsesAddUp(t *testing.T) {
	w := newWorld()
	w.old(t, "orders", "", 600)
	at := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	require.Empty(t, w.denied(t))
	w.addDenied(t, map[int]lifecycle.Denials{1: {Count: 2, First: at(1), Last: at(2)}, 256: {Count: 7, First: at(3), Last: at(3)}})
	w.addDenied(t, map[int]lifecycle.Denials{1: {Count: 1, First: at(0), Last: at(1)}, 257: {Count: 5, First: at(4), Last: at(5)}})
	require.Equal(t, map[int]lifecycle.Denials{
		1: {Count: 3, First: at(0), Last: at(2)}, 256: {Count: 7, First: at(3), Last: at(3)}, 257: {Count: 5, First: at(4), Last: at(5)},
	}, w.denied(t))
	require.Contains(t, w.entries(t), "denied/orders/0")
	require.Contains(t, w.entries(t), "denied/orders/1")
}

func TestNewKeyOfAnOldNameHasNoDeniedUses(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.addDenied(t, once(1))
	require.NoError(t, deleteOrders(w, ""))
	w.addDenied(t, once(1)) // comes late
	require.Empty(t, w.of(t, "orders"))
	w.create(t, "orders", "")
	require.Empty(t, w.denied(t))
	w.plant(t, "denied/orders/0", golden(t, "denied")) // another key's
	require.Empty(t, w.denied(t))
	w.addDenied(t, once(2))
	require.Equal(t, once(2), w.denied(t))
}

// A batch may be denied at all versions of a key, and each of them for ever.
func TestDeniedUsesOfElevenThousandVersionsFitIntoTheEntriesOfEveryStorage(t *testing.T) {
	racetest.Skip(t, "one goroutine counts for thousands of versions")
	const versions = 11_000
	w := newWorld()
	w.old(t, "orders", "", versions)
	all := map[int]lifecycle.Denials{}
	long := time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	for v := 1; v <= versions; v++ {
		all[v] = lifecycle.Denials{Count: math.MaxInt, First: long, Last: long}
	}
	w.disk.Reset()
	w.addDenied(t, all)
	pages := (versions + store.PageSize - 1) / store.PageSize
	require.Equal(t, storagetest.Counts{Gets: 2 + pages, Puts: pages}, w.disk.Reset(), "the key, what an earlier build wrote, and each page")
	require.Equal(t, all, w.denied(t))
	for path, value := range w.entries(t) {
		require.Less(t, len(value), smallestEntry/8, path)
	}
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	w.disk.Reset()
	_, err = w.Denied(ctx, k, lifecycle.Of(versions))
	require.NoError(t, err)
	require.Equal(t, storagetest.Counts{Gets: 1}, w.disk.Reset(), "whatever the number of versions")
	require.NoError(t, deleteOrders(w, ""))
	require.Empty(t, w.of(t, "orders"))
}

func TestALeaseFitsIntoAnEntryHoweverMuchWasLeased(t *testing.T) {
	w := newWorld()
	k := w.create(t, "orders", "")
	ask := lifecycle.LeaseRequest{KeyID: k.ID, Version: math.MaxInt32, Need: policy.Usage{Encryptions: math.MaxInt64, Bytes: math.MaxInt64}}
	_, _, err := w.Lease(ctx, "orders", ask)
	require.NoError(t, err)
	require.Less(t, len(w.entries(t)[fmt.Sprintf("leases/orders/%d", math.MaxInt32)]), 256)
}

// An earlier build had one record for all versions, which could grow beyond the limit of an entry.
func TestDeniedUsesOfAnEarlierBuildAreReadAndMovePageByPage(t *testing.T) {
	w := newWorld()
	w.old(t, "orders", "", 600)
	record := `{"schema":1,"denied":{"2":{"count":3,"first":"2026-03-01T12:00:00Z","last":"2026-03-01T13:00:00Z"},` +
		`"300":{"count":2,"first":"2026-03-01T12:00:00Z","last":"2026-03-01T12:00:00Z"}}}`
	w.plant(t, "usage/orders", record)
	two := lifecycle.Denials{Count: 3, First: start, Last: start.Add(time.Hour)}
	want := map[int]lifecycle.Denials{2: two, 300: {Count: 2, First: start, Last: start}}
	require.Equal(t, want, w.denied(t))
	for n := range 3 {
		w.addDenied(t, once(299))
		want[299] = lifecycle.Denials{Count: n + 1, First: start, Last: start}
		require.Equal(t, want, w.denied(t), "nothing is counted twice")
	}
	w.addDenied(t, once(300))
	want[300] = lifecycle.Denials{Count: 3, First: start, Last: start}
	require.Equal(t, want, w.denied(t))
	require.Equal(t, record, w.entries(t)["usage/orders"], "it is not written again")
	require.NoError(t, deleteOrders(w, ""))
	require.Empty(t, w.of(t, "orders"))
}

func TestDeniedUsesThatCannotBeStoredAreGivenBack(t *testing.T) {
	for _, applied := range []bool{false, true} {
		w := newWorld()
		w.old(t, "orders", "", 600)
		more := map[int]lifecycle.Denials{1: once(1)[1], 300: once(1)[1], 600: once(1)[1]}
		w.disk.FailWrite(2, applied)
		left, err := w.AddDenied(ctx, "orders", more)
		require.ErrorIs(t, err, storagetest.ErrInjected)
		require.Len(t, left, 1, "of one page")
		w.disk.Heal()
		w.addDenied(t, left)
		for v := range more {
			require.GreaterOrEqual(t, w.denied(t)[v].Count, 1, "version %d", v)
		}
	}
}
