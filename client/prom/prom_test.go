// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package prom_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/prom"
)

var local = client.Operation{Key: "orders", Op: "encrypt", Source: client.Local, Outcome: client.OK}

func newMetrics(t *testing.T) (*prom.Metrics, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	m, err := prom.New(registry)
	require.NoError(t, err)
	return m, registry
}

func TestUsesAreCountedByWhatTheyWere(t *testing.T) {
	m, registry := newMetrics(t)
	m.Operation(local)
	m.Operation(local)
	m.Operation(client.Operation{Key: "orders", Op: "decrypt", Source: client.Stale, Outcome: client.OK})
	m.Operation(client.Operation{Key: "cards", Op: "decrypt", Source: client.Engine, Outcome: client.KeyState})
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP keylife_client_operations_total Uses of keys.
# TYPE keylife_client_operations_total counter
keylife_client_operations_total{key="cards",op="decrypt",outcome="key_state",source="engine"} 1
keylife_client_operations_total{key="orders",op="decrypt",outcome="ok",source="stale"} 1
keylife_client_operations_total{key="orders",op="encrypt",outcome="ok",source="local"} 2
`), "keylife_client_operations_total"))
}

func TestAUseCostsNoAllocation(t *testing.T) {
	m, _ := newMetrics(t)
	m.Operation(local)
	require.Zero(t, testing.AllocsPerRun(100, func() { m.Operation(local) }))
}

func TestRequestsAreTimedByOutcome(t *testing.T) {
	m, registry := newMetrics(t)
	m.Request(context.Background(), "orders", "datakey")(client.OK)
	m.Request(context.Background(), "cards", "datakey")(client.OK)
	m.Request(context.Background(), "cards", "decrypt")(client.Unavailable)
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	require.Equal(t, "keylife_client_request_seconds", families[0].GetName())
	counts := map[string]uint64{}
	for _, s := range families[0].GetMetric() {
		require.Len(t, s.GetLabel(), 2)
		counts[s.GetLabel()[0].GetValue()+" "+s.GetLabel()[1].GetValue()] = s.GetHistogram().GetSampleCount()
	}
	require.Equal(t, map[string]uint64{"datakey ok": 2, "decrypt unavailable": 1}, counts)
}

type source struct{}

func (source) Stats() []client.KeyStats {
	return []client.KeyStats{{Key: "orders", Version: 3, DataKeys: 12, ProofAge: 90 * time.Second}, {Key: "cards"}}
}

func TestKeysAreCollected(t *testing.T) {
	require.NoError(t, testutil.CollectAndCompare(prom.Stats(source{}), strings.NewReader(`
# HELP keylife_client_data_keys Data keys in memory.
# TYPE keylife_client_data_keys gauge
keylife_client_data_keys{key="cards"} 0
keylife_client_data_keys{key="orders"} 12
# HELP keylife_client_proof_age_seconds Age of the oldest proof that still opens messages.
# TYPE keylife_client_proof_age_seconds gauge
keylife_client_proof_age_seconds{key="cards"} 0
keylife_client_proof_age_seconds{key="orders"} 90
# HELP keylife_client_version The version of the key that encrypts.
# TYPE keylife_client_version gauge
keylife_client_version{key="cards"} 0
keylife_client_version{key="orders"} 3
`)))
}

func TestTwoClientsNeedRegisterersOfTheirOwn(t *testing.T) {
	_, registry := newMetrics(t)
	_, err := prom.New(registry)
	require.Error(t, err)
	_, err = prom.New(prometheus.WrapRegistererWith(prometheus.Labels{"mount": "transit"}, prometheus.NewRegistry()))
	require.NoError(t, err)
}
