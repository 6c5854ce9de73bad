// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package prom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keylife/vault-plugin-keylife/client"
)

var (
	version  = prometheus.NewDesc(prefix+"version", "The version of the key that encrypts.", []string{"key"}, nil)
	dataKeys = prometheus.NewDesc(prefix+"data_keys", "Data keys in memory.", []string{"key"}, nil)
	proofAge = prometheus.NewDesc(prefix+"proof_age_seconds", "Age of the oldest proof that still opens messages.", []string{"key"}, nil)
)

// Source tells how keys stand: a [client.Client].
type Source interface{ Stats() []client.KeyStats }

// Stats collects how the keys in use stand, whenever it is asked.
func Stats(source Source) prometheus.Collector { return collector{source} }

type collector struct{ source Source }

func (collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- version
	ch <- dataKeys
	ch <- proofAge
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.source.Stats() {
		gauge := func(d *prometheus.Desc, value float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, s.Key)
		}
		gauge(version, float64(s.Version))
		gauge(dataKeys, float64(s.DataKeys))
		gauge(proofAge, s.ProofAge.Seconds())
	}
}
