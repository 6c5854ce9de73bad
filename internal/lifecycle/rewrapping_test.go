// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/stretchr/testify/require"
)

var newKEK = [16]byte{2}

func begunRewrap() lifecycle.Rewrapping {
	return lifecycle.BeginRewrap(lifecycle.Rewrapping{}, "use", newKEK, start)
}

func TestARewrapEndsWithAPassThatBeganLateEnoughAndFoundNothing(t *testing.T) {
	r := begunRewrap().WithFound(true).At("k", 3)
	r, done := r.EndOfPass(start.Add(time.Minute))
	require.False(t, done)
	require.True(t, r.BetweenPasses())
	require.True(t, r.Waits(newKEK, start.Add(4*time.Minute)), "who wrapped before the change may still write")
	require.False(t, r.Waits(newKEK, start.Add(5*time.Minute)))

	r = r.BeginPass(start.Add(5 * time.Minute)).WithFound(true)
	require.Equal(t, []int{2, 1, 2}, []int{r.Pass, r.Found, r.Done})
	r, done = r.EndOfPass(start.Add(6 * time.Minute))
	require.False(t, done, "it found something, so there may be more")
	require.False(t, r.Waits(newKEK, start.Add(6*time.Minute)))

	_, done = r.BeginPass(start.Add(7 * time.Minute)).EndOfPass(start.Add(8 * time.Minute))
	require.True(t, done)
}

func TestAPassThatBeganTooEarlyIsNotTheLast(t *testing.T) {
	_, done := begunRewrap().EndOfPass(start.Add(time.Hour))
	require.False(t, done, "it had passed the first keys before the change had settled")
}

func TestVersionsThatCannotBeWrappedAreTriedAgainAnHourLater(t *testing.T) {
	r := begunRewrap().BeginPass(start.Add(10 * time.Minute))
	for n := range 130 {
		r = r.WithFound(false).WithFailure(lifecycle.RewrapFailure{Key: "k", Version: n + 1, Why: "damaged"})
	}
	now := start.Add(11 * time.Minute)
	r, done := r.EndOfPass(now)
	require.False(t, done)
	require.Equal(t, 130, r.Failed)
	require.Len(t, r.Failures, 100, "until the next pass they are named")
	require.Zero(t, r.Done)
	require.True(t, r.Waits(newKEK, now.Add(59*time.Minute)))
	require.False(t, r.Waits(newKEK, now.Add(time.Hour)))
	require.False(t, r.Waits(newKEK, now.Add(-2*time.Hour)), "the clock was ahead")
	require.Empty(t, r.BeginPass(now.Add(time.Hour)).Failures)
}

func TestVersionsThatCouldNotBeWrappedInTheFirstPassAreTriedAgainSoon(t *testing.T) {
	r, done := begunRewrap().WithFailure(lifecycle.RewrapFailure{Key: "k"}).EndOfPass(start.Add(time.Minute))
	require.False(t, done)
	require.False(t, r.Waits(newKEK, start.Add(5*time.Minute)))
}

func TestFailuresOfOneProgressAreNotThoseOfAnother(t *testing.T) {
	one := begunRewrap().WithFailure(lifecycle.RewrapFailure{Key: "a"})
	two := one.WithFailure(lifecycle.RewrapFailure{Key: "b"})
	three := one.WithFailure(lifecycle.RewrapFailure{Key: "c"})
	require.Equal(t, "b c", fmt.Sprint(two.Failures[1].Key, " ", three.Failures[1].Key))
}

func TestARewrapWaitsForItsKeyToBecomeTheActiveOne(t *testing.T) {
	r := begunRewrap()
	old := [16]byte{1}
	require.False(t, r.Waits(newKEK, start))
	require.True(t, r.Waits(old, start.Add(time.Minute)))
	require.False(t, r.Waits(old, start.Add(5*time.Minute)), "it did not")
}

func TestARewrapThatAClockBeganThatWasAheadEndsAllTheSame(t *testing.T) {
	r := lifecycle.BeginRewrap(lifecycle.Rewrapping{Run: 4}, "use", newKEK, start.Add(8760*time.Hour))
	require.Equal(t, 5, r.Run)
	r, done := r.EndOfPass(start)
	require.False(t, done)
	require.False(t, r.Waits(newKEK, start))
	r, done = r.BeginPass(start).EndOfPass(start)
	require.False(t, done)
	require.True(t, r.Waits(newKEK, start.Add(time.Minute)))
	_, done = r.BeginPass(start.Add(5 * time.Minute)).EndOfPass(start.Add(6 * time.Minute))
	require.True(t, done)
}
