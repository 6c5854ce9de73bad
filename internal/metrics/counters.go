// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package metrics

import (
	"slices"
	"sync/atomic"

	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// table has the metrics.
var table = slices.Concat(processRows, counterRows, boardRows)

// processRows are of the process that answers.
var processRows = []row{
	ofNode("info", "Version of the plugin and identity of the mount's data; the value is 1.", func(m Mount, put put) {
		put(1, m.Version, m.Instance)
	}, "version", "instance_id"),
	ofNode("active", "1 where the node does what the clock does; 0 on a standby.", func(m Mount, put put) { put(oneIf(m.Active)) }),
	ofNode("process_goroutines", "Goroutines of the process, which serves all mounts of the plugin on the node.", func(m Mount, put put) {
		put(float64(m.Process.Goroutines))
	}),
	ofNode("process_heap_live_bytes", "Heap of the process that the last garbage collection found in use.", func(m Mount, put put) {
		put(float64(m.Process.HeapLive))
	}),
	ofNode("hsm_up", "1 if the last call of the HSM got through; without an HSM there is no such series.", func(m Mount, put put) {
		if m.Token {
			put(oneIf(m.TokenUp))
		}
	}),
}

// counterRows are of what is counted, from the start of the process on.
var counterRows = []row{
	counter("operations_total", "Items of requests that use keys, by what became of them.", func(m Mount, put put) {
		for _, op := range m.Operations.All() {
			each(op.Name, op.Of.Results(), put)
		}
	}, "operation", "result"),
	counter("plaintext_bytes_total", "Bytes of plaintext that were protected or opened, and of input that was signed, verified or authenticated.", func(m Mount, put put) {
		for _, op := range m.Operations.All() {
			put(float64(op.Of.Bytes.Load()), op.Name)
		}
	}, "operation"),
	counter("cache_requests_total", "Lookups in the caches of the data plane.", func(m Mount, put put) {
		for _, cache := range m.Caches.All() {
			each(cache.Name, cache.Of.Results(), put)
		}
	}, "cache", "result"),
	counter("storage_operations_total", "Calls of Vault's storage.", ofCalls(storage), "operation", "result"),
	histogram("storage_operation_duration_seconds", "Duration of calls of Vault's storage.", storage),
	counter("hsm_operations_total", "Calls of the HSM.", ofCalls(hsm), "operation", "result"),
	histogram("hsm_operation_duration_seconds", "Duration of calls of the HSM.", hsm),
	counter("rotations_total", "Attempts to give a key a new version.", counts(func(m Mount) *observe.Counts { return &m.Rotations }), "trigger", "result"),
	counter("transitions_total", "Changes of state of versions and keys.", counts(func(m Mount) *observe.Counts { return &m.Transitions }), "operation", "by"),
	counter("refusals_total", "Changes that were asked for and refused, by what stands in the way.", countsOfOne(func(m Mount) *observe.Counts { return &m.Refusals }), "why"),
	counter("denied_uses_total", "Denied uses that count against the retirement of a version, by the state that denies them.", countsOfOne(func(m Mount) *observe.Counts { return &m.DeniedUses }), "state"),
	counter("custody_records_total", "Custody records that were written.", countOf(func(m Mount) *atomic.Int64 { return &m.CustodyRecords })),
	counter("integrity_failures_total", "Stored versions that were opened and are not what their fingerprint says.", countOf(func(m Mount) *atomic.Int64 { return &m.IntegrityFailures })),
	counter("break_glass_total", "Acts by break-glass.", countOf(func(m Mount) *atomic.Int64 { return &m.BreakGlass })),
}

func storage(m Mount) []observe.Named[*observe.Call] { return m.Storage.All() }

func hsm(m Mount) []observe.Named[*observe.Call] { return m.HSM.All() }

func each(name string, results []observe.Named[int64], put put) {
	for _, r := range results {
		put(float64(r.Of), name, r.Name)
	}
}

func ofCalls(calls func(Mount) []observe.Named[*observe.Call]) func(Mount, put) {
	return func(m Mount, put put) {
		for _, call := range calls(m) {
			each(call.Name, call.Of.Results(), put)
		}
	}
}

func counts(of func(Mount) *observe.Counts) func(Mount, put) {
	return func(m Mount, put put) {
		for _, c := range of(m).All() {
			put(float64(c.N), c.Labels[0], c.Labels[1])
		}
	}
}

func countsOfOne(of func(Mount) *observe.Counts) func(Mount, put) {
	return func(m Mount, put put) {
		for _, c := range of(m).All() {
			put(float64(c.N), c.Labels[0])
		}
	}
}

func countOf(of func(Mount) *atomic.Int64) func(Mount, put) {
	return func(m Mount, put put) { put(float64(of(m).Load())) }
}

func oneIf(claim bool) float64 {
	if claim {
		return 1
	}
	return 0
}
