// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/test/soak/trend"
)

// figure is one of what is sampled.
type figure struct {
	what, unit string
	of         func(Report) []trend.Point
	bound      trend.Bound   // that it may change by in the time that is judged
	falls      bool          // less is worse; else more is
	least      time.Duration // a shorter run does not judge it
}

const mebibyte = 1 << 20

// long is a run that tells of what a garbage collection, a tick or another program makes go up and down.
const long = 20 * time.Minute

// The figures. Descriptors, goroutines and threads come with requests that are on their way, and go with them: they may differ by a few.
var figures = []figure{
	{what: "goroutines", of: each(func(s Sample) float64 { return s.Goroutines }), bound: trend.Bound{Share: 0.05, Amount: 4}},
	{what: "file descriptors", of: each(func(s Sample) float64 { return float64(s.Plugin.Files) }), bound: trend.Bound{Amount: 2}},
	{what: "threads", of: each(func(s Sample) float64 { return float64(s.Plugin.Threads) }), bound: trend.Bound{Share: 0.1, Amount: 2}, least: long},
	{what: "live heap", unit: "MiB", of: each(func(s Sample) float64 { return s.Heap / mebibyte }), bound: trend.Bound{Share: 0.1, Amount: 1}, least: long},
	{what: "resident memory", unit: "MiB", of: each(func(s Sample) float64 { return float64(s.Plugin.Resident) / mebibyte }), bound: trend.Bound{Share: 0.1}, least: long},
	{what: "CPU of a request, its share of rotations and ticks included", unit: "ms", of: cpuOfRequest, bound: trend.Bound{Share: 0.2}, least: long},
	{what: "encryptions by one client without a pause", unit: "/s", of: probes, bound: trend.Bound{Share: 0.2}, falls: true, least: long},
	{what: "versions of keys", of: each(func(s Sample) float64 { return s.Versions }), bound: trend.Bound{Share: 0.1}, least: long},
	{what: "file descriptors of Vault", of: each(func(s Sample) float64 { return float64(s.Vault.Files) }), bound: trend.Bound{Share: 0.1, Amount: 4}, least: long},
}

// each is a figure that each sample has.
func each(of func(Sample) float64) func(Report) []trend.Point {
	return func(r Report) []trend.Point {
		points := make([]trend.Point, len(r.Samples))
		for i, s := range r.Samples {
			points[i] = trend.Point{At: s.At, Value: of(s)}
		}
		return points
	}
}

func probes(r Report) (points []trend.Point) {
	for _, s := range r.Samples {
		if s.Probe > 0 {
			points = append(points, trend.Point{At: s.At, Value: s.Probe})
		}
	}
	return points
}

// round is a round of rotations, and of what ticks do.
const round = 60.0

// cpuOfRequest is what the plugin used since a round ago, by the requests since then.
func cpuOfRequest(r Report) (points []trend.Point) {
	from := 0
	for _, s := range r.Samples {
		for s.At-r.Samples[from].At > round {
			from++
		}
		before := r.Samples[max(from-1, 0)]
		if n := s.Requests - before.Requests; from > 0 && n > 0 {
			points = append(points, trend.Point{At: s.At, Value: 1000 * (s.Plugin.CPU - before.Plugin.CPU) / float64(n)})
		}
	}
	return points
}
