// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"net/http"
	runtimemetrics "runtime/metrics"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/metrics"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// The formats of metrics.
const (
	formatPrometheus = "prometheus"
	formatJSON       = "json"
)

var (
	fMetricsFormat = vaultapi.Text("format", "prometheus: the text format 0.0.4, as a scrape takes it. json: an answer that vault read shows.").Or(formatPrometheus).Query()
	fMetricsPrefix = vaultapi.Text("prefix", "Only metrics of which the name begins so.").Query()
	fMetrics       = vaultapi.Object("metrics", "With format=json: the value of each series by its name and labels, but the label mount. Of a histogram count and sum.")
)

// metricsAPI serves what is observed of the mount, from memory.
type metricsAPI struct{}

func (a metricsAPI) paths() []path {
	return []path{{
		Pattern: "metrics", ID: vaultapi.ID{Suffix: "metrics"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fMetricsFormat, fMetricsPrefix),
		Operations: operations{logical.ReadOperation: {
			Handle: a.read, Summary: "Read the metrics of the mount, for Prometheus.",
			Answer: "The metrics as text/plain; version=0.0.4, or with format=json as an answer.", Fields: vaultapi.FieldsOf(fMetrics),
		}},
		Synopsis: "The metrics of the mount, for Prometheus.",
		Description: "Counters since the start of the plugin's process on the node that answers, and what the last tick found out. It reads memory and " +
			"no storage. Each series has the label mount, each counter also node. The text is no JSON: vault read takes format=json.",
	}}
}

func (metricsAPI) read(_ context.Context, c *request) (*logical.Response, error) {
	seen := c.b.observed(c.Logical.MountPoint)
	seen.Only = fMetricsPrefix.Get(c)
	switch format := fMetricsFormat.Get(c); format {
	case formatPrometheus:
		text, err := metrics.Text(seen)
		return &logical.Response{Data: map[string]any{
			logical.HTTPStatusCode: http.StatusOK, logical.HTTPContentType: metrics.ContentType, logical.HTTPRawBody: text,
		}}, err
	case formatJSON:
		values, err := metrics.Values(seen)
		return vaultapi.Data(fMetrics.Is(values)), err
	default:
		return nil, vaultapi.InvalidField(fMetricsFormat.Name, format, "must be prometheus or json")
	}
}

// observed is what a scrape is about.
func (b *backend) observed(mountPoint string) metrics.Mount {
	up, inUse := b.keyring.Up()
	return metrics.Mount{
		Observer: b.observe, Path: strings.TrimSuffix(mountPoint, "/"), Node: b.node, Version: b.version,
		Instance: b.store.KnownInstance(), Process: process(), Active: b.WriteSafeReplicationState(), Token: inUse, TokenUp: up, Now: b.engine.Now(),
	}
}

// process asks the Go runtime, which stops nothing for that.
func process() metrics.Process {
	samples := []runtimemetrics.Sample{{Name: "/sched/goroutines:goroutines"}, {Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(samples)
	return metrics.Process{Goroutines: samples[0].Value.Uint64(), HeapLive: samples[1].Value.Uint64()}
}

// failed counts a change that was refused.
func (b *backend) failed(c *request, err error) {
	if o := refusal.ObstacleOf(err); c.changes && o != "" {
		b.observe.Refusals.Add(observe.Labels{string(o)}, 1)
	}
}

// declareRefusals makes the counters of refused changes.
func declareRefusals(o *observe.Observer) {
	for _, obstacle := range refusal.Obstacles() {
		o.Refusals.Declare(observe.Labels{string(obstacle)})
	}
}
