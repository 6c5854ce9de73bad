// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// spendOne charges a meter for one encryption of one byte and returns what it leased for it.
func spendOne(t *testing.T, m *meter, limits lifecycle.Limits) (leased lifecycle.Usage) {
	t.Helper()
	require.NoError(t, m.take(limits, lifecycle.Usage{Encryptions: 1, Bytes: 1}, func(_, want lifecycle.Usage) (lifecycle.Usage, error) {
		leased = want
		return want, nil
	}))
	return leased
}

func TestLeasesOfAMeterDoubleUntilTheyAreABlock(t *testing.T) {
	limits := lifecycle.Limits{Encryptions: 256 * 6400}
	m, sizes := newMeter(), []int64{}
	for range 30_000 {
		if leased := spendOne(t, m, limits); leased.Encryptions > 0 {
			sizes = append(sizes, leased.Encryptions)
		}
	}
	require.Equal(t, []int64{100, 200, 400, 800, 1600, 3200, 6400, 6400, 6400, 6400}, sizes)
}

// However often the meters of other keys push one out, it loses no more than a small part of its limit, or what it counted.
func TestAMeterThatIsPushedOutLosesNoBlock(t *testing.T) {
	limits := lifecycle.Limits{Encryptions: 256 * 6400}
	e := &Engine{meters: newCache[versionID, *meter](1)}
	var leased int64
	const rounds = 256
	for range rounds {
		leased += spendOne(t, e.meter(versionID{"k", 1}), limits).Encryptions
		e.meter(versionID{"other", 1})
	}
	require.LessOrEqual(t, leased, limits.Encryptions/64)
}

func TestAllCallersOfAColdMeterHaveTheSameOne(t *testing.T) {
	e := &Engine{meters: newCache[versionID, *meter](8)}
	for n := range 2000 {
		var wait sync.WaitGroup
		got := make([]*meter, 8)
		start := make(chan struct{})
		for i := range got {
			wait.Go(func() {
				<-start
				got[i] = e.meter(versionID{"k", n})
			})
		}
		close(start)
		wait.Wait()
		for _, m := range got {
			require.Same(t, got[0], m)
		}
	}
}
