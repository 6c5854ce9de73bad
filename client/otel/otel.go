// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package otel tells OpenTelemetry what a client does and how its keys stand.
//
//	metrics, err := otel.New(meterProvider, tracerProvider)
//	kl, err := client.New(client.Config{Vault: vault, Metrics: metrics})
//	registration, err := metrics.Stats(kl)
//
// The instruments have the names that Prometheus' exporter makes those of package prom of: keylife.client.operations,
// keylife.client.request (s), keylife.client.version, keylife.client.data_keys, keylife.client.proof_age (s). Requests to
// Vault are spans; uses of keys are none.
//
// Keys are attributes: an application has few. After 4,096 sets of attributes new names are counted together, as key
// "other".
package otel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/internal/series"
)

const (
	scope  = "github.com/keylife/vault-plugin-keylife/client"
	prefix = "keylife.client."
)

// Metrics is a [client.Metrics] that counts for OpenTelemetry.
type Metrics struct {
	meter      metric.Meter
	tracer     trace.Tracer
	operations metric.Int64Counter
	attributes *series.Table[client.Operation, []metric.AddOption]
	requests   metric.Float64Histogram
}

var _ client.Metrics = (*Metrics)(nil)

// New makes the instruments. The error is the meter's.
func New(meters metric.MeterProvider, tracers trace.TracerProvider) (*Metrics, error) {
	meter := meters.Meter(scope)
	operations, err := meter.Int64Counter(prefix+"operations", metric.WithDescription("Uses of keys."))
	requests, err2 := meter.Float64Histogram(prefix+"request", metric.WithUnit("s"), metric.WithDescription("How long requests to Vault took."),
		metric.WithExplicitBucketBoundaries(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return &Metrics{
		meter: meter, tracer: tracers.Tracer(scope), operations: operations, requests: requests,
		attributes: series.New(attributesOf, lumped),
	}, nil
}

func attributesOf(o client.Operation) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(
		attribute.String("key", o.Key), attribute.String("op", o.Op),
		attribute.String("source", string(o.Source)), attribute.String("outcome", string(o.Outcome))))}
}

func lumped(o client.Operation) client.Operation {
	o.Key = series.Other
	return o
}

// Operation implements [client.Metrics].
func (m *Metrics) Operation(o client.Operation) {
	m.operations.Add(context.Background(), 1, m.attributes.Get(o)...)
}

// Request implements [client.Metrics].
func (m *Metrics) Request(ctx context.Context, key, op string) func(client.Outcome) {
	begin := time.Now()
	ctx, span := m.tracer.Start(ctx, "keylife "+op, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("keylife.key", key), attribute.String("keylife.op", op)))
	return func(outcome client.Outcome) {
		result := attribute.String("outcome", string(outcome))
		m.requests.Record(ctx, time.Since(begin).Seconds(), metric.WithAttributes(attribute.String("op", op), result))
		span.SetAttributes(result)
		if outcome != client.OK {
			span.SetStatus(codes.Error, string(outcome))
		}
		span.End()
	}
}
