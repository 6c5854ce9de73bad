// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package metrics

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

const (
	prefix     = "keylife_"
	mountLabel = "mount" // of each series
	nodeLabel  = "node"  // of each counter: what another node counts is another series
)

// row is a metric, and how its series are read.
type row struct {
	Family
	values func(m Mount, put put) // nil: it is a histogram
	calls  func(m Mount) []observe.Named[*observe.Call]
}

// put adds a series: its value, and those of its labels but mount and node.
type put func(value float64, labels ...string)

func counter(name, help string, values func(Mount, put), labels ...string) row {
	return row{Family: Family{prefix + name, Counter, help, append(labels, nodeLabel)}, values: values}
}

func gauge(name, help string, values func(Mount, put), labels ...string) row {
	return row{Family: Family{prefix + name, Gauge, help, labels}, values: values}
}

// ofNode is a gauge that each node has.
func ofNode(name, help string, values func(Mount, put), labels ...string) row {
	return gauge(name, help, values, append(labels, nodeLabel)...)
}

func histogram(name, help string, calls func(Mount) []observe.Named[*observe.Call]) row {
	return row{Family: Family{prefix + name, Histogram, help, []string{"operation", nodeLabel}}, calls: calls}
}

func (r row) collect(m Mount, out chan<- prometheus.Metric) {
	desc := prometheus.NewDesc(r.Name, r.Help, r.Labels, prometheus.Labels{mountLabel: m.Path})
	labelled := func(values []string) []string {
		if slices.Contains(r.Labels, nodeLabel) {
			values = append(values, m.Node)
		}
		for i := range values {
			values[i] = strings.ToValidUTF8(values[i], "?")
		}
		return values
	}
	if r.values != nil {
		r.values(m, func(value float64, labels ...string) { send(out, desc)(r.metric(desc, value, labelled(labels))) })
		return
	}
	for _, call := range r.calls(m) {
		d := call.Of.Durations()
		send(out, desc)(prometheus.NewConstHistogram(desc, d.Count, d.Seconds, d.UpTo, labelled([]string{call.Name})...))
	}
}

func (r row) metric(desc *prometheus.Desc, value float64, labels []string) (prometheus.Metric, error) {
	kind := prometheus.GaugeValue
	if r.Type == Counter {
		kind = prometheus.CounterValue
	}
	return prometheus.NewConstMetric(desc, kind, value, labels...)
}

// send hands a metric on, or why there is none: the registry says so to who gathers.
func send(out chan<- prometheus.Metric, desc *prometheus.Desc) func(prometheus.Metric, error) {
	return func(m prometheus.Metric, err error) {
		if err != nil {
			m = prometheus.NewInvalidMetric(desc, err)
		}
		out <- m
	}
}
