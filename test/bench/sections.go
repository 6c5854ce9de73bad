// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

// report makes sections of what was measured: of one peer, beside the others.
type report struct {
	*bench
	of     mounted
	others []mounted
}

func (b *bench) report(of string) report {
	at := slices.IndexFunc(b.mounts, func(m mounted) bool { return m.name == of })
	return report{b, b.mounts[at], slices.Delete(slices.Clone(b.mounts), at, at+1)}
}

// row compares figures that pick takes of a series. It leaves out peers that have none, and zeros, which are none.
func (r report) row(what, unit string, w workload, scale float64, pick func(*series) []float64) result.Row {
	own := scaled(pick(r.found[w.name][r.of.name]), scale)
	row := result.Row{What: what, Value: result.Median(own), Unit: unit}
	for _, m := range r.others {
		figures := scaled(pick(r.found[w.name][m.name]), scale)
		if len(figures) > 0 && !slices.Contains(figures, 0) {
			row.Beside = append(row.Beside, result.Compare(m.title, own, figures))
		}
	}
	return row
}

func scaled(figures []float64, by float64) []float64 {
	scaled := make([]float64, len(figures))
	for i, figure := range figures {
		scaled[i] = figure * by
	}
	return scaled
}

func (r report) throughput(workloads []workload) result.Section {
	s := result.Section{
		Title: "Requests a second, beside Transit and beside the floor",
		Intro: fmt.Sprintf(`One Vault serves all: %s. %d connections ask again as soon as they are answered, for %s each, in %d rounds; in each round the
engines take turns. A ratio above 1 says that %s answers more.`, r.told(), r.connections, r.slice, r.rounds, r.of.title),
		Column: r.of.title,
	}
	for _, w := range workloads {
		row := r.row(w.what, "/s", w, 1, func(s *series) []float64 { return s.rates })
		if r.of.name == peers[0].name {
			r.aim(row.Beside, w.target)
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

// aim gives ratios their targets, which are by name of the peer.
func (r report) aim(beside []result.Beside, target map[string]float64) {
	for _, m := range r.others {
		at := slices.IndexFunc(beside, func(b result.Beside) bool { return b.Name == m.title })
		if least := target[m.name]; least != 0 && at >= 0 {
			beside[at] = beside[at].AtLeast(least)
		}
	}
}

func (r report) told() string {
	text := r.of.title
	for _, m := range r.others {
		text += ", " + m.title
	}
	return text
}

func (r report) cpu(workloads []workload) result.Section {
	s := result.Section{
		Title:  "CPU of a request",
		Intro:  "User and system time of the server's process and of the plugin's, in the same rounds. A ratio below 1 says that " + r.of.title + " costs less.",
		Column: r.of.title,
	}
	for _, w := range workloads {
		s.Rows = append(s.Rows, r.row(w.what, "µs", w, 1e6, func(s *series) []float64 {
			both := slices.Clone(s.server)
			for i := range both {
				both[i] += s.plugin[i]
			}
			return both
		}), r.row("of that, the plugin", "µs", w, 1e6, func(s *series) []float64 { return s.plugin }))
	}
	asks := r.row(workloads[0].what+", for the generator that asks", "µs", workloads[0], 1e6, func(s *series) []float64 { return s.generator })
	s.Rows = append(s.Rows, asks)
	return s
}

func (r report) latency(workloads []workload) result.Section {
	s := result.Section{
		Title: "Latency at equal load",
		Intro: `Requests come at random moments, the same for all engines, at a rate that does not depend on the answers: half of what the slowest engine
answers at most. Latency counts from the moment a request is due. A ratio below 1 says that ` + r.of.title + " answers sooner.",
		Column: r.of.title,
	}
	for _, w := range workloads {
		at := fmt.Sprintf("%s, %s, ", w.what, result.Quantity(r.equal(w), "/s"))
		s.Rows = append(s.Rows,
			r.row(at+"p50", "ms", w, 1e3, func(s *series) []float64 { return s.p50 }),
			r.row(at+"p99", "ms", w, 1e3, func(s *series) []float64 { return s.p99 }))
	}
	return s
}
