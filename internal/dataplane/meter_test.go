// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/cache"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// spendOne charges a meter for one encryption of one byte and returns what it leased for it.
func spendOne(t *testing.T, m *meter, limits policy.Limits) (leased policy.Usage) {
	t.Helper()
	require.NoError(t, m.take(t.Context(), limits, policy.Usage{Encryptions: 1, Bytes: 1}, func(_, want policy.Usage) (policy.Usage, error) {
		leased = want
		return want, nil
	}))
	return leased
}

func TestLeasesOfAMeterDoubleUntilTheyAreABlock(t *testing.T) {
	limits := policy.Limits{Encryptions: 256 * 6400}
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
	limits := policy.Limits{Encryptions: 256 * 6400}
	p := &Plane{meters: cache.New[versionID, *meter](1)}
	var leased int64
	const rounds = 256
	for range rounds {
		leased += spendOne(t, p.meter(versionID{"k", 1}), limits).Encryptions
		p.meter(versionID{"other", 1})
	}
	require.LessOrEqual(t, leased, limits.Encryptions/64)
}

func TestAllCallersOfAColdMeterHaveTheSameOne(t *testing.T) {
	p := &Plane{meters: cache.New[versionID, *meter](8)}
	for n := range 2000 {
		var wait sync.WaitGroup
		got := make([]*meter, 8)
		start := make(chan struct{})
		for i := range got {
			wait.Go(func() {
				<-start
				got[i] = p.meter(versionID{"k", n})
			})
		}
		close(start)
		wait.Wait()
		for _, m := range got {
			require.Same(t, got[0], m)
		}
	}
}

// TestNobodyWhoHasALeaseWaitsForOneThatIsTaken is about a lease that waits for the writer of its key.
func TestNobodyWhoHasALeaseWaitsForOneThatIsTaken(t *testing.T) {
	limits := policy.Limits{Encryptions: 1 << 20, Bytes: 1 << 20}
	m := newMeter()
	spendOne(t, m, limits)
	left := m.unused(limits)
	small, large := policy.Usage{Encryptions: 1}, policy.Usage{Bytes: left.Bytes + 1}
	require.NoError(t, m.take(t.Context(), limits, large, func(need, want policy.Usage) (policy.Usage, error) {
		require.Equal(t, policy.Usage{Bytes: 1}, need)
		never := func(_, _ policy.Usage) (policy.Usage, error) {
			return policy.Usage{}, errors.New("two leases at once")
		}
		require.NoError(t, m.take(t.Context(), limits, small, never), "there is one for it")
		over, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, m.take(over, limits, large, never), context.Canceled, "it waits, but not for ever")
		require.Equal(t, left.Encryptions-1, m.unused(limits).Encryptions)
		return want, nil
	}))
}

func TestALeaseThatFailsGivesBackWhatItsCallerHadTaken(t *testing.T) {
	limits := policy.Limits{Encryptions: 1 << 20, Bytes: 1 << 20}
	m := newMeter()
	spendOne(t, m, limits)
	left := m.unused(limits)
	large := policy.Usage{Encryptions: 1, Bytes: left.Bytes + 1}
	for name, lease := range map[string]leaseFunc{
		"no storage": func(_, want policy.Usage) (policy.Usage, error) { return want, errors.New("x") },
		"no room":    func(_, _ policy.Usage) (policy.Usage, error) { return policy.Usage{}, nil },
	} {
		err := m.take(t.Context(), limits, large, lease)
		require.Equal(t, name == "no storage", err != nil)
		require.Equal(t, left, m.unused(limits), name)
	}
	other := policy.Limits{Encryptions: 7}
	require.NoError(t, m.take(t.Context(), limits, large, func(_, want policy.Usage) (policy.Usage, error) {
		require.Equal(t, policy.Usage{}, m.unused(other))
		require.NoError(t, m.take(t.Context(), other, policy.Usage{}, nil), "the limits change meanwhile")
		return want, nil
	}))
	require.NotZero(t, m.unused(limits), "what was leased is of the limits it was leased under")
}

func TestCallersOfAMeterAtOnceAreChargedOnce(t *testing.T) {
	limits := policy.Limits{Encryptions: 1 << 20}
	m := newMeter()
	var leased atomic.Int64
	var all sync.WaitGroup
	const callers, each = 16, 500
	for range callers {
		all.Go(func() {
			for range each {
				assert.NoError(t, m.take(t.Context(), limits, policy.Usage{Encryptions: 1}, func(_, want policy.Usage) (policy.Usage, error) {
					leased.Add(want.Encryptions)
					return want, nil
				}))
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(callers*each), leased.Load()-m.unused(limits).Encryptions)
}
