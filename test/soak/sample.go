// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

// Sample is what was seen at one time.
type Sample struct {
	At         float64 `json:"at"` // seconds since the begin of the load
	Plugin     Process `json:"plugin"`
	Vault      Process `json:"vault"`
	Goroutines float64 `json:"goroutines"` // of the plugin, as its metrics say
	Heap       float64 `json:"heap"`       // bytes that the plugin's last garbage collection found in use
	Versions   float64 `json:"versions"`   // of keys, that are not destroyed
	Rotations  float64 `json:"rotations"`  // since the start of the plugin
	Requests   int64   `json:"requests"`   // that were sent until then
	Failures   int64   `json:"failures"`
	Probe      float64 `json:"probe"` // encryptions a second of one client, without a pause between them; 0: not measured with this sample
}

// A probe is so many encryptions, one after the other, and is made with each so many samples.
const (
	probeLength = 50
	probeEvery  = 4
)

// sample looks at the processes until the context ends, whose error it returns.
func (m *mount) sample(ctx context.Context, c Config) ([]Sample, error) {
	_, plugins, err := m.server.PIDs()
	if err != nil {
		return nil, err
	}
	if len(plugins) != 1 {
		return nil, fmt.Errorf("the server has %d plugin processes, and one serves the mount", len(plugins))
	}
	begun, pace := time.Now(), time.NewTicker(c.Every)
	defer pace.Stop()
	var all []Sample
	for {
		select {
		case <-ctx.Done():
			return all, ctx.Err()
		case <-pace.C:
		}
		s := Sample{At: time.Since(begun).Seconds()}
		if err := m.look(&s, plugins[0]); err != nil {
			return all, err
		}
		if len(all)%probeEvery == 0 {
			if s.Probe, err = m.probe(); err != nil {
				return all, err
			}
		}
		all = append(all, s)
		c.Progress(s)
	}
}

var (
	errEnded     = errors.New("the plugin's process has ended")
	errNoMetrics = errors.New("the plugin has no metrics of goroutines and live heap")
)

func (m *mount) look(s *Sample, plugin int) error {
	server, plugins, err := m.server.PIDs()
	if err != nil {
		return err
	}
	if len(plugins) != 1 || plugins[0] != plugin {
		return fmt.Errorf("%w: was %d, and there are %v", errEnded, plugin, plugins)
	}
	if s.Plugin, err = look(plugin); err != nil {
		return err
	}
	if s.Vault, err = look(server); err != nil {
		return err
	}
	requests, failures := m.counted()
	for _, n := range requests {
		s.Requests += n
	}
	s.Failures = failures.Count
	return m.readMetrics(s)
}

// readMetrics adds up the series of a metric, of those that are of interest.
func (m *mount) readMetrics(s *Sample) error {
	out, err := m.ask(http.MethodGet, "metrics?format=json", nil, http.StatusOK)
	if err != nil {
		return err
	}
	values, _ := out["metrics"].(map[string]any)
	sums := map[string]*float64{
		"keylife_process_goroutines": &s.Goroutines, "keylife_process_heap_live_bytes": &s.Heap,
		"keylife_versions": &s.Versions, "keylife_rotations_total": &s.Rotations,
	}
	for series, value := range values {
		name, labels, _ := strings.Cut(series, "{")
		sum, wanted := sums[name]
		if !wanted || strings.Contains(labels, `"destroyed"`) {
			continue
		}
		number, _ := value.(json.Number)
		figure, err := number.Float64()
		if err != nil {
			return fmt.Errorf("%s: %w", series, err)
		}
		*sum += figure
	}
	if s.Goroutines == 0 || s.Heap == 0 {
		return errNoMetrics
	}
	return nil
}

// probe tells how many encryptions a second one client gets done: the reciprocal of the median of their times.
func (m *mount) probe() (float64, error) {
	times := make([]float64, probeLength)
	for i := range times {
		begun := time.Now()
		if _, err := m.post("encrypt/"+probed, body{"plaintext": "aGVsbG8="}); err != nil {
			return 0, err
		}
		times[i] = time.Since(begun).Seconds()
	}
	return 1 / result.Median(times), nil
}
