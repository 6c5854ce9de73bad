// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

// measured is a benchmark over its runs.
type measured struct {
	name    string
	units   []string // in the order in which they come
	figures map[string][]float64
}

// perOperation is what Go prints first: nanoseconds.
const perOperation = "ns/op"

// columns are the names that units of Go have on the page, and what figures of them are told in.
var columns = map[string]result.Also{
	"allocs/op": {Name: "allocations"},
	"B/op":      {Name: "memory", Unit: "B"},
	"MB/s":      {Name: "throughput", Unit: "MB/s"},
}

// parse reads lines of the benchmark format of Go, and of go test around it: it fails where that says that something failed.
//
//	pkg: example.org/a/b
//	BenchmarkName/part-8   1000   1234 ns/op   56 B/op   7 allocs/op
func parse(in io.Reader) ([]result.Row, error) {
	var (
		order []string
		all   = map[string]*measured{}
		pkg   string
	)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "--- FAIL") || strings.HasPrefix(line, "panic:") {
			return nil, fmt.Errorf("go test says: %s", line)
		}
		if name, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = path.Base(name)
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		name := pkg + ": " + benchmarkName(fields[0])
		if all[name] == nil {
			order = append(order, name)
			all[name] = &measured{name: name, figures: map[string][]float64{}}
		}
		if err := all[name].add(fields[2:]); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	rows := make([]result.Row, len(order))
	for i, name := range order {
		rows[i] = all[name].row()
	}
	return rows, nil
}

// processors is what go test puts behind a name.
var processors = regexp.MustCompile(`-\d+$`)

func benchmarkName(field string) string {
	return processors.ReplaceAllString(strings.TrimPrefix(field, "Benchmark"), "")
}

// add takes pairs of a figure and its unit.
func (m *measured) add(pairs []string) error {
	for ; len(pairs) > 1; pairs = pairs[2:] {
		figure, err := strconv.ParseFloat(pairs[0], 64)
		if err != nil {
			return err
		}
		unit := pairs[1]
		if m.figures[unit] == nil {
			m.units = append(m.units, unit)
		}
		m.figures[unit] = append(m.figures[unit], figure)
	}
	return nil
}

func (m *measured) row() result.Row {
	row := result.Row{What: m.name}
	row.Value, row.Unit = readable(result.Median(m.figures[perOperation]))
	for _, unit := range m.units {
		if unit == perOperation {
			continue
		}
		also, known := columns[unit]
		if !known {
			also = result.Also{Name: unit}
		}
		also.Value = result.Median(m.figures[unit])
		row.Also = append(row.Also, also)
	}
	return row
}

// readable tells nanoseconds in the unit that leaves few digits.
func readable(ns float64) (figure float64, unit string) {
	units := []string{"ns", "µs", "ms", "s"}
	for len(units) > 1 && ns >= 1000 {
		ns, units = ns/1000, units[1:]
	}
	return ns, units[0]
}
