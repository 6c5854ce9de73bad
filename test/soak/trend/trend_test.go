// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package trend_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/soak/trend"
)

const (
	every = 5.0 // seconds between two samples
	hour  = 720 // samples
	seeds = 200
)

var tenth = trend.Bound{Share: 0.1}

// series is what a function gives each five seconds.
func series(n int, of func(at float64) float64) []trend.Point {
	points := make([]trend.Point, n)
	for i := range points {
		at := float64(i) * every
		points[i] = trend.Point{At: at, Value: of(at)}
	}
	return points
}

// heap of 60 MB: a sawtooth of collections, noise, and now and then a peak of twice as much.
func heap(r *rand.Rand) func(at float64) float64 {
	phase := r.Float64() * 90
	return func(at float64) float64 {
		value := 60 + 20*math.Mod(at+phase, 90)/90 + 3*r.NormFloat64()
		if r.IntN(20) == 0 {
			value *= 2
		}
		return value
	}
}

func line(t *testing.T, points []trend.Point) trend.Line {
	t.Helper()
	l, err := trend.Of(points)
	require.NoError(t, err)
	return l
}

func TestAFlatSeriesIsFlatWhateverItsNoise(t *testing.T) {
	for seed := range uint64(seeds) {
		l := line(t, series(hour, heap(rand.New(rand.NewPCG(seed, 1)))))
		require.False(t, l.Rises(tenth) || l.Falls(tenth), "seed %d: %+v", seed, l)
		require.InDelta(t, 72, l.Begin, 8)
	}
}

func TestALeakIsFoundWhateverItsNoise(t *testing.T) {
	for seed := range uint64(seeds) {
		usual := heap(rand.New(rand.NewPCG(seed, 2)))
		l := line(t, series(hour, func(at float64) float64 { return usual(at) + 15*at/3600 }))
		require.True(t, l.Rises(tenth), "seed %d: %+v", seed, l)
		require.InDelta(t, 15, l.Change(), 6)
		l = line(t, series(hour, func(at float64) float64 { return usual(at) - 15*at/3600 }))
		require.True(t, l.Falls(tenth), "seed %d: %+v", seed, l)
	}
}

// A goroutine that nobody ends, each two minutes, among 40 and those of requests.
func TestALeakOfFewIsFound(t *testing.T) {
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 3))
		bound := trend.Bound{Share: 0.05, Amount: 4}
		l := line(t, series(hour, func(at float64) float64 { return 40 + math.Floor(at/120) + float64(r.IntN(6)) }))
		require.True(t, l.Rises(bound), "seed %d: %+v", seed, l)
		l = line(t, series(hour, func(float64) float64 { return 40 + float64(r.IntN(6)) }))
		require.False(t, l.Rises(bound), "seed %d: %+v", seed, l)
	}
}

// What disturbs a quarter of the time, such as another program, is no trend. A level that is left for good is one.
func TestWhatPassesIsNoTrend(t *testing.T) {
	during := func(from, to float64) []trend.Point {
		return series(hour, func(at float64) float64 {
			if at >= from && at < to {
				return 200
			}
			return 100
		})
	}
	for from := 0.0; from <= 2700; from += 300 {
		l := line(t, during(from, from+600))
		require.False(t, l.Rises(tenth) || l.Falls(tenth), "from %v: %+v", from, l)
	}
	require.True(t, line(t, during(1800, 3600)).Rises(tenth))
}

func TestALineIsFoundAsItIs(t *testing.T) {
	l := line(t, series(hour, func(at float64) float64 { return 100 + at/36 }))
	want := trend.Line{Begin: 100, End: 100 + (hour-1)*every/36, Seconds: (hour - 1) * every}
	require.InDelta(t, want.Begin, l.Begin, 1e-6)
	require.InDelta(t, want.End, l.End, 1e-6)
	require.InDelta(t, want.End, l.Low, 1e-6)
	require.InDelta(t, want.End, l.High, 1e-6)
	require.InDelta(t, want.Seconds, l.Seconds, 1e-6)
	require.InDelta(t, want.End-100, l.Change(), 1e-6)
}

// A bound is the larger of its two: two more descriptors of ten are within, though they are a fifth.
func TestABoundIsAShareOrAnAmount(t *testing.T) {
	l := trend.Line{Begin: 10, End: 12}
	require.True(t, l.Rises(tenth))
	require.False(t, l.Rises(trend.Bound{Share: 0.1, Amount: 2}))
	require.False(t, l.Falls(tenth))
	require.True(t, trend.Line{Begin: 12, End: 10}.Falls(tenth))
}

func TestFewSamplesTellNothing(t *testing.T) {
	flat := func(float64) float64 { return 1 }
	_, err := trend.Of(nil)
	require.ErrorIs(t, err, trend.ErrFew)
	_, err = trend.Of(series(35, flat))
	require.ErrorIs(t, err, trend.ErrFew)
	gap := append(series(36, flat), trend.Point{At: 3600, Value: 1})
	_, err = trend.Of(gap)
	require.ErrorIs(t, err, trend.ErrFew, "most windows are empty")
	_, err = trend.Of(make([]trend.Point, 40))
	require.ErrorIs(t, err, trend.ErrFew, "all at one time")
}
