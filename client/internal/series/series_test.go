// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package series_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/series"
)

type labels struct{ key, op string }

func newTable(made *[]labels) *series.Table[labels, *labels] {
	return series.New(
		func(l labels) *labels { *made = append(*made, l); return &l },
		func(l labels) labels { l.key = series.Other; return l })
}

func TestEqualLabelsHaveOneValue(t *testing.T) {
	var made []labels
	table := newTable(&made)
	first := table.Get(labels{"orders", "encrypt"})
	require.NotSame(t, first, table.Get(labels{"orders", "decrypt"}))
	require.Same(t, first, table.Get(labels{"orders", "encrypt"}))
	require.Len(t, made, 2)
}

func TestManyWhoAskAtOnceGetOneValue(t *testing.T) {
	var made []labels
	table := newTable(&made)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for n := range 100 {
				l := labels{strconv.Itoa((i + n) % 10), "encrypt"}
				if got := table.Get(l); *got != l {
					t.Errorf("got %v, want %v", *got, l)
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, made, 10)
}

func TestFromTheLimitOnKeysAreCountedTogether(t *testing.T) {
	var made []labels
	table := newTable(&made)
	for i := range series.Limit {
		table.Get(labels{strconv.Itoa(i), "encrypt"})
	}
	require.Equal(t, labels{"0", "encrypt"}, *table.Get(labels{"0", "encrypt"}))
	require.Equal(t, labels{series.Other, "encrypt"}, *table.Get(labels{"one more", "encrypt"}))
	require.Same(t, table.Get(labels{"one more", "encrypt"}), table.Get(labels{"and another", "encrypt"}))
	require.Equal(t, labels{series.Other, "decrypt"}, *table.Get(labels{"one more", "decrypt"}))
	require.Len(t, made, series.Limit+2)
}

func TestAKnownSetCostsNoAllocation(t *testing.T) {
	var made []labels
	table := newTable(&made)
	table.Get(labels{"orders", "encrypt"})
	require.Zero(t, testing.AllocsPerRun(100, func() { table.Get(labels{"orders", "encrypt"}) }))
}
