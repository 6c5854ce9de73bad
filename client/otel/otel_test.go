// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package otel_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/otel"
)

type source struct{}

func (source) Stats() []client.KeyStats {
	return []client.KeyStats{{Key: "orders", Version: 3, DataKeys: 12, ProofAge: 90 * time.Second}}
}

func newMetrics(t *testing.T) (*otel.Metrics, *metric.ManualReader, *tracetest.SpanRecorder) {
	t.Helper()
	reader, spans := metric.NewManualReader(), tracetest.NewSpanRecorder()
	m, err := otel.New(metric.NewMeterProvider(metric.WithReader(reader)), trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
	require.NoError(t, err)
	return m, reader, spans
}

// read returns the data of each instrument.
func read(t *testing.T, reader *metric.ManualReader) map[string]metricdata.Aggregation {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &all))
	require.Len(t, all.ScopeMetrics, 1)
	data := map[string]metricdata.Aggregation{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		data[m.Name+" "+m.Unit] = m.Data
	}
	return data
}

func TestUsesAreCountedByWhatTheyWere(t *testing.T) {
	m, reader, spans := newMetrics(t)
	local := client.Operation{Key: "orders", Op: "encrypt", Source: client.Local, Outcome: client.OK}
	m.Operation(local)
	m.Operation(local)
	m.Operation(client.Operation{Key: "orders", Op: "decrypt", Source: client.Stale, Outcome: client.OK})
	points := read(t, reader)["keylife.client.operations "].(metricdata.Sum[int64]).DataPoints
	counts := map[attribute.Distinct]int64{}
	for _, p := range points {
		counts[p.Attributes.Equivalent()] = p.Value
	}
	of := func(op, source string) int64 {
		set := attribute.NewSet(attribute.String("key", "orders"), attribute.String("op", op), attribute.String("source", source), attribute.String("outcome", "ok"))
		return counts[set.Equivalent()]
	}
	require.Equal(t, int64(2), of("encrypt", "local"))
	require.Equal(t, int64(1), of("decrypt", "stale"))
	require.Len(t, points, 2)
	require.Empty(t, spans.Started())
}

func TestARequestIsASpanAndATime(t *testing.T) {
	m, reader, spans := newMetrics(t)
	m.Request(context.Background(), "orders", "datakey")(client.OK)
	m.Request(context.Background(), "orders", "decrypt")(client.KeyState)
	require.Len(t, read(t, reader)["keylife.client.request s"].(metricdata.Histogram[float64]).DataPoints, 2)
	ended := spans.Ended()
	require.Len(t, ended, 2)
	require.Equal(t, "keylife datakey", ended[0].Name())
	require.Equal(t, codes.Unset, ended[0].Status().Code)
	require.Equal(t, codes.Error, ended[1].Status().Code)
	require.ElementsMatch(t, []attribute.KeyValue{
		attribute.String("keylife.key", "orders"), attribute.String("keylife.op", "decrypt"), attribute.String("outcome", "key_state"),
	}, ended[1].Attributes())
}

func TestKeysAreObserved(t *testing.T) {
	m, reader, _ := newMetrics(t)
	registration, err := m.Stats(source{})
	require.NoError(t, err)
	data := read(t, reader)
	require.Equal(t, int64(3), data["keylife.client.version "].(metricdata.Gauge[int64]).DataPoints[0].Value)
	require.Equal(t, int64(12), data["keylife.client.data_keys "].(metricdata.Gauge[int64]).DataPoints[0].Value)
	require.InDelta(t, 90, data["keylife.client.proof_age s"].(metricdata.Gauge[float64]).DataPoints[0].Value, 0)
	require.NoError(t, registration.Unregister())
}
