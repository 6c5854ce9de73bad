// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/bench/load"
	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

// plan is how long and how often is measured.
type plan struct {
	rounds      int // those that count; one more comes before them
	warm, slice time.Duration
	connections int
}

// series are the figures of one peer under one workload, by round.
type series struct {
	rates          []float64 // requests a second
	server, plugin []float64 // CPU a request, in seconds
	generator      []float64 // the same, of this process
	p50, p99       []float64 // seconds, at the rate of the workload
}

func (s *series) add(t load.Throughput) {
	s.rates = append(s.rates, t.Rate)
	s.server, s.plugin, s.generator = append(s.server, t.CPU[0]), append(s.plugin, t.CPU[1]), append(s.generator, t.CPU[2])
}

// bench measures mounts of one server.
type bench struct {
	plan
	mounts   []mounted
	client   *load.Client
	requests map[string]map[string]load.Request // by workload and peer
	found    map[string]map[string]*series      // the same
	progress io.Writer
}

// newBench makes the requests and looks at an answer to each. The client is closed by the caller.
func newBench(p plan, mounts []mounted, client *load.Client, workloads []workload) (*bench, error) {
	b := &bench{plan: p, mounts: mounts, client: client, requests: map[string]map[string]load.Request{}, found: map[string]map[string]*series{}, progress: io.Discard}
	for _, w := range workloads {
		b.requests[w.name], b.found[w.name] = map[string]load.Request{}, map[string]*series{}
		for _, m := range mounts {
			r, err := w.request(m)
			if err != nil {
				return nil, fmt.Errorf("%s of %s: %w", w.name, m.name, err)
			}
			if err := w.right(m, client, r); err != nil {
				return nil, err
			}
			b.requests[w.name][m.name], b.found[w.name][m.name] = r, &series{}
		}
	}
	return b, nil
}

// turn is the order of the peers in a round: each is once the first.
func turn[T any](all []T, round int) []T {
	at := round % len(all)
	return append(append([]T{}, all[at:]...), all[:at]...)
}

// throughput measures all peers in turns. The first round does not count.
func (b *bench) throughput(workloads []workload) error {
	for round := range b.rounds + 1 {
		for _, w := range workloads {
			for _, m := range turn(b.mounts, round) {
				t, err := b.client.Closed(b.requests[w.name][m.name], b.warm, b.slice, m.server.ServerPID(), m.process, os.Getpid())
				if err != nil {
					return fmt.Errorf("%s of %s: %w", w.name, m.name, err)
				}
				if round > 0 {
					b.found[w.name][m.name].add(t)
				}
			}
		}
		_, _ = fmt.Fprintf(b.progress, "throughput: round %d of %d\n", round, b.rounds)
	}
	return nil
}

// equal is the rate at which latency is measured: half of what the slowest peer does when it is asked all the time.
func (b *bench) equal(w workload) float64 {
	slowest := 0.0
	for _, s := range b.found[w.name] {
		if rate := result.Median(s.rates); slowest == 0 || rate < slowest {
			slowest = rate
		}
	}
	return slowest / 2
}

// latencySlice is longer than a slice, by so much: one request of a hundred is what the 99th percentile is about.
const latencySlice = 4

// latency measures all peers in turns, after throughput and in half as many rounds. In a round all have requests at the same moments.
func (b *bench) latency(workloads []workload) error {
	rounds := (b.rounds + 1) / 2
	for round := range rounds {
		for _, w := range workloads {
			for _, m := range turn(b.mounts, round) {
				took, err := b.client.Open(b.requests[w.name][m.name], b.equal(w), b.warm, latencySlice*b.slice, uint64(round))
				if err != nil {
					return fmt.Errorf("latency of %s of %s: %w", w.name, m.name, err)
				}
				seconds := make([]float64, len(took))
				for i, d := range took {
					seconds[i] = d.Seconds()
				}
				s := b.found[w.name][m.name]
				s.p50, s.p99 = append(s.p50, result.Quantile(seconds, 0.5)), append(s.p99, result.Quantile(seconds, 0.99))
			}
		}
		_, _ = fmt.Fprintf(b.progress, "latency: round %d of %d\n", round+1, rounds)
	}
	return nil
}
