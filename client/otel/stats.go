// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package otel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/keylife/vault-plugin-keylife/client"
)

// Source tells how keys stand: a [client.Client].
type Source interface{ Stats() []client.KeyStats }

// Stats observes how the keys in use stand, whenever metrics are read, until the registration is ended.
func (m *Metrics) Stats(source Source) (metric.Registration, error) {
	version, err := m.meter.Int64ObservableGauge(prefix+"version", metric.WithDescription("The version of the key that encrypts."))
	dataKeys, err2 := m.meter.Int64ObservableGauge(prefix+"data_keys", metric.WithDescription("Data keys in memory."))
	proofAge, err3 := m.meter.Float64ObservableGauge(prefix+"proof_age", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest proof that still opens messages."))
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	return m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, s := range source.Stats() {
			key := metric.WithAttributes(attribute.String("key", s.Key))
			o.ObserveInt64(version, int64(s.Version), key)
			o.ObserveInt64(dataKeys, int64(s.DataKeys), key)
			o.ObserveFloat64(proofAge, s.ProofAge.Seconds(), key)
		}
		return nil
	}, version, dataKeys, proofAge)
}
