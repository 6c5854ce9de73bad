// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package prom shows Prometheus what a client does and how its keys stand.
//
//	metrics, err := prom.New(prometheus.DefaultRegisterer)
//	kl, err := client.New(client.Config{Vault: vault, Metrics: metrics})
//	prometheus.MustRegister(prom.Stats(kl))
//
//	keylife_client_operations_total{key,op,source,outcome}  uses of keys
//	keylife_client_request_seconds{op,outcome}              requests to Vault
//	keylife_client_version{key}                             the version that encrypts
//	keylife_client_data_keys{key}                           data keys in memory
//	keylife_client_proof_age_seconds{key}                   age of the oldest proof that still opens messages
//
// Keys are labels: an application has few. After 4,096 series new names are counted together, as key "other". Two clients
// in one process each take a registerer of [prometheus.WrapRegistererWith].
package prom

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/internal/series"
)

const prefix = "keylife_client_"

// buckets in seconds: from an engine on the same machine to two attempts that ran out of time.
var buckets = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// Metrics is a [client.Metrics] that counts for Prometheus.
type Metrics struct {
	operations *series.Table[client.Operation, prometheus.Counter]
	requests   *prometheus.HistogramVec
}

var _ client.Metrics = (*Metrics)(nil)

// New registers the counters. The error is the registerer's.
func New(register prometheus.Registerer) (*Metrics, error) {
	operations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: prefix + "operations_total", Help: "Uses of keys.",
	}, []string{"key", "op", "source", "outcome"})
	requests := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: prefix + "request_seconds", Help: "How long requests to Vault took.", Buckets: buckets,
	}, []string{"op", "outcome"})
	for _, c := range []prometheus.Collector{operations, requests} {
		if err := register.Register(c); err != nil {
			return nil, err
		}
	}
	counter := func(o client.Operation) prometheus.Counter {
		return operations.WithLabelValues(o.Key, o.Op, string(o.Source), string(o.Outcome))
	}
	return &Metrics{operations: series.New(counter, lumped), requests: requests}, nil
}

func lumped(o client.Operation) client.Operation {
	o.Key = series.Other
	return o
}

// Operation implements [client.Metrics].
func (m *Metrics) Operation(o client.Operation) { m.operations.Get(o).Inc() }

// Request implements [client.Metrics].
func (m *Metrics) Request(_ context.Context, _, op string) func(client.Outcome) {
	begin := time.Now()
	return func(outcome client.Outcome) {
		m.requests.WithLabelValues(op, string(outcome)).Observe(time.Since(begin).Seconds())
	}
}
