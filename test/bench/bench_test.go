// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

func TestEachPeerIsTheFirstOfARound(t *testing.T) {
	all := []string{"a", "b", "c"}
	require.Equal(t, []string{"a", "b", "c"}, turn(all, 0))
	require.Equal(t, []string{"b", "c", "a"}, turn(all, 1))
	require.Equal(t, []string{"a", "b", "c"}, turn(all, 3))
	require.Equal(t, []string{"a", "b", "c"}, all)
}

func TestTheCommandLine(t *testing.T) {
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "keylife", o.of)
	require.Len(t, o.peers, len(peers))
	require.Len(t, o.workloads, len(workloads))

	o, err = parse(strings.Fields("-peers old=/tmp/old,noop -workloads encrypt,batch -latency batch-decrypt -rounds 3"), io.Discard)
	require.NoError(t, err)
	require.Equal(t, "old", o.of)
	require.Equal(t, []string{"encrypt", "batch-encrypt", "batch-decrypt"}, each(o.workloads, func(w workload) string { return w.name }))
	path, err := o.peers[0].path()
	require.NoError(t, err)
	require.Equal(t, "/tmp/old", path)

	for _, wrong := range []string{
		"-peers nobody", "-peers keylife=", "-peers old=relative", "-workloads brew", "-latency brew", "-workloads encrypt -latency decrypt",
		"-of nobody", "-rounds 0", "-slice 0s", "-connections 0", "-unknown",
	} {
		_, err := parse(strings.Fields(wrong), io.Discard)
		require.Error(t, err, wrong)
	}
}

func TestAPeerIsWhereItsVariableSays(t *testing.T) {
	p := peer{name: "noop", binary: "BENCH_NOOP"}
	t.Setenv("BENCH_NOOP", "/somewhere/noop")
	path, err := p.path()
	require.NoError(t, err)
	require.Equal(t, "/somewhere/noop", path)
	t.Setenv("BENCH_NOOP", "")
	_, err = p.path()
	require.ErrorContains(t, err, "BENCH_NOOP")
}

// measuredBench is a bench as it is after two rounds of one workload.
func measuredBench() (*bench, []workload) {
	figures := map[string]*series{
		"keylife": {rates: []float64{300, 100}, server: []float64{3e-4, 3e-4}, plugin: []float64{1e-4, 1e-4}, generator: []float64{1e-5, 1e-5}, p50: []float64{1e-3, 1e-3}, p99: []float64{4e-3, 4e-3}},
		"noop":    {rates: []float64{200, 80}, server: []float64{3e-4, 3e-4}, plugin: []float64{2e-4, 2e-4}, generator: []float64{1e-5, 1e-5}, p50: []float64{2e-3, 2e-3}, p99: []float64{2e-3, 2e-3}},
		"builtin": {rates: []float64{600, 200}, server: []float64{1e-4, 1e-4}, plugin: []float64{0, 0}, generator: []float64{1e-5, 1e-5}, p50: []float64{1e-3, 1e-3}, p99: []float64{1e-3, 1e-3}},
	}
	asked := workloads[:1]
	b := &bench{plan: plan{rounds: 2, slice: time.Second, connections: 8}, found: map[string]map[string]*series{asked[0].name: figures}}
	for _, p := range peers {
		if figures[p.name] != nil {
			b.mounts = append(b.mounts, mounted{peer: p})
		}
	}
	return b, asked
}

func besides(row result.Row) map[string]float64 {
	ratios := map[string]float64{}
	for _, b := range row.Beside {
		ratios[b.Name] = b.Ratio
	}
	return ratios
}

func TestSectionsCompareOnePeerWithTheOthers(t *testing.T) {
	b, asked := measuredBench()
	r := b.report("keylife")
	row := r.throughput(asked).Rows[0]
	require.InDelta(t, 200, row.Value, 1e-9)
	require.InDeltaMapValues(t, map[string]float64{"the no-op plugin": 1.375, "built-in Transit": 0.5}, besides(row), 1e-9)
	require.Equal(t, &result.Target{AtLeast: 1.3}, row.Beside[0].Target)
	require.Nil(t, row.Beside[1].Target)

	cpu := r.cpu(asked).Rows
	require.InDelta(t, 400, cpu[0].Value, 1e-9)
	require.InDeltaMapValues(t, map[string]float64{"the no-op plugin": 0.8, "built-in Transit": 4}, besides(cpu[0]), 1e-9)
	require.InDeltaMapValues(t, map[string]float64{"the no-op plugin": 0.5}, besides(cpu[1]), 1e-9, "built-in Transit has no plugin")
	require.InDelta(t, 10, cpu[2].Value, 1e-9, "the generator")

	late := r.latency(asked).Rows
	require.Equal(t, "encrypt 64 B, 70/s, p50", late[0].What, "half of the slowest, of which a round had 200 and one 80")
	require.InDelta(t, 1, late[0].Value, 1e-9)
	require.InDelta(t, 2, besides(late[1])["the no-op plugin"], 1e-9)

	for _, beside := range b.report("builtin").throughput(asked).Rows[0].Beside {
		require.Nil(t, beside.Target, "targets are keylife's")
	}
}

func TestSectionsAreWrittenForThePage(t *testing.T) {
	b, asked := measuredBench()
	folder, out := filepath.Join(t.TempDir(), "performance"), &strings.Builder{}
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, tell([]named{{"throughput", true, b.report("keylife").throughput(asked)}}, folder, out))
	require.Contains(t, out.String(), "| encrypt 64 B | 200/s |")
	sections, err := result.Load(filepath.Join(folder, "throughput.json"))
	require.NoError(t, err)
	require.Equal(t, "performance/throughput.svg", sections[0].Figure.File)
	require.FileExists(t, filepath.Join(folder, "throughput.svg"))
}

func TestBatchesAreComparedItemByItem(t *testing.T) {
	want, err := plaintexts(mounted{})
	require.NoError(t, err)
	items := want.(object)["batch_input"].([]object)
	results := make([]any, len(items))
	for i, item := range items {
		results[i] = item
	}
	require.NoError(t, batchShows(mounted{}, object{"batch_results": results}))
	results[0], results[1] = results[1], results[0]
	require.Error(t, batchShows(mounted{}, object{"batch_results": results}))
	require.Error(t, batchShows(mounted{}, object{"batch_results": results[:1]}))
	require.Error(t, shows(small)(mounted{}, object{"plaintext": text(small, 1)}))
	require.Error(t, valid(mounted{}, object{}))
}
