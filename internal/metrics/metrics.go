// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package metrics writes what is observed of a mount in Prometheus' text format. It has a row for each metric, in tables,
// and makes them anew for each scrape: nothing is registered anywhere, so that mounts of one process do not meet.
//
// It reads memory only. A scrape has at most [MostSeries] series of [MostBytes], whatever the mount holds.
package metrics

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// ContentType is that of [Text]; Prometheus 2 and 3 read it.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// What a scrape has at most.
const (
	MostSeries = 500
	MostBytes  = 64 << 10
)

// Mount is what a scrape is about.
type Mount struct {
	*observe.Observer
	Path     string // where it is mounted, without a slash at the end
	Node     string // the host of the process
	Version  string // of the plugin
	Instance string // identity of the mount's data; empty: not known yet
	Process  Process
	Active   bool // this node does what the clock does
	Token    bool // a token is in use
	TokenUp  bool
	Now      time.Time // for what becomes true by time alone, such as that no tick came
	Only     string    // what the names of the metrics begin with that are asked for
}

// Process is what the Go runtime says of the process.
type Process struct {
	Goroutines uint64
	HeapLive   uint64 // bytes that the last garbage collection found in use
}

// The kinds of metrics.
const (
	Counter   = "counter"
	Gauge     = "gauge"
	Histogram = "histogram"
)

// Family describes a metric.
type Family struct {
	Name, Type, Help string
	Labels           []string // beside mount
}

// Families lists the metrics in the order of their names.
func Families() []Family {
	list := make([]Family, 0, len(table))
	for _, r := range table {
		list = append(list, r.Family)
	}
	slices.SortFunc(list, func(a, b Family) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Text returns the metrics of a mount as [ContentType].
func Text(m Mount) ([]byte, error) {
	families, err := gather(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// Values returns the metrics of a mount by series, written as in the text format but without the label mount. Of a histogram it
// has count and sum.
func Values(m Mount) (map[string]any, error) {
	families, err := gather(m)
	values := map[string]any{}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			labels := labelsText(one)
			switch {
			case one.Counter != nil:
				values[f.GetName()+labels] = one.GetCounter().GetValue()
			case one.Gauge != nil:
				values[f.GetName()+labels] = one.GetGauge().GetValue()
			default:
				values[f.GetName()+"_count"+labels] = float64(one.GetHistogram().GetSampleCount())
				values[f.GetName()+"_sum"+labels] = one.GetHistogram().GetSampleSum()
			}
		}
	}
	return values, err
}

var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func labelsText(m *dto.Metric) string {
	var pairs []string
	for _, l := range m.GetLabel() {
		if l.GetName() != mountLabel {
			pairs = append(pairs, l.GetName()+`="`+escaped.Replace(l.GetValue())+`"`)
		}
	}
	if pairs == nil {
		return ""
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// gather makes the metrics. The registry checks them: names, labels, that no series comes twice.
func gather(m Mount) ([]*dto.MetricFamily, error) {
	r := prometheus.NewRegistry()
	if err := r.Register(collector{m}); err != nil {
		return nil, err
	}
	return r.Gather()
}

type collector struct{ Mount }

// Describe is prometheus.Collector's.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect is prometheus.Collector's.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, r := range table {
		if strings.HasPrefix(r.Name, c.Only) {
			r.collect(c.Mount, out)
		}
	}
}
