// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

const printed = `goos: linux
pkg: example.org/engine/requests
BenchmarkRequest/Encrypt100-2         	    1000	   3000.5 ns/op	     560 B/op	       7 allocs/op
BenchmarkRequest/Encrypt100-2         	    1000	   1000 ns/op	     560 B/op	       7 allocs/op
BenchmarkRequest/Encrypt100-2         	    1000	   2000 ns/op	     560 B/op	       9 allocs/op
PASS
ok  	example.org/engine/requests	3.000s
?   	example.org/engine/other	[no test files]
pkg: example.org/engine/client
BenchmarkSeal-2   	       1	2000000000 ns/op	 512.5 MB/s	 3 keys/op
BenchmarkNoFigures
ok  	example.org/engine/client	3.000s
`

func TestRunsOfABenchmarkAreOneRow(t *testing.T) {
	rows, err := parse(strings.NewReader(printed))
	require.NoError(t, err)
	require.Equal(t, []result.Row{
		{What: "requests: Request/Encrypt100", Value: 2, Unit: "µs", Also: []result.Also{{Name: "memory", Value: 560, Unit: "B"}, {Name: "allocations", Value: 7}}},
		{What: "client: Seal", Value: 2, Unit: "s", Also: []result.Also{{Name: "throughput", Value: 512.5, Unit: "MB/s"}, {Name: "keys/op", Value: 3}}},
	}, rows)
}

func TestWhatFailedIsNoResult(t *testing.T) {
	for _, line := range []string{"--- FAIL: BenchmarkRequest", "FAIL\texample.org/engine/requests\t0.1s", "panic: no", "BenchmarkSeal-2 1 many ns/op"} {
		_, err := parse(strings.NewReader(printed + line + "\n"))
		require.Error(t, err, line)
	}
	require.ErrorContains(t, run([]string{filepath.Join(t.TempDir(), "a.json")}, strings.NewReader("PASS\n"), io.Discard), "rows")
	require.ErrorContains(t, run(nil, strings.NewReader(printed), io.Discard), "usage")
}

func TestASectionIsWrittenAndTheOutputShown(t *testing.T) {
	path, out := filepath.Join(t.TempDir(), "a.json"), &strings.Builder{}
	require.NoError(t, run([]string{path}, strings.NewReader(printed), out))
	require.Equal(t, printed, out.String())
	sections, err := result.Load(path)
	require.NoError(t, err)
	require.Contains(t, result.Markdown(sections...), "| client: Seal | 2 s | – | – | 512 MB/s | 3 |")
}
