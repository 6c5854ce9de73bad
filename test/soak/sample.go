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

var errEnded = errors.New("the plugin's process has ended")

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

func (m *mount) readMetrics(s *Sample) error {
	out, err := m.ask(http.MethodGet, "metrics?format=json&prefix=keylife_process_", nil, http.StatusOK)
	if err != nil {
		return err
	}
	values, _ := out["metrics"].(map[string]any)
	found := 0
	for series, value := range values {
		number, _ := value.(json.Number)
		figure, err := number.Float64()
		if err != nil {
			return fmt.Errorf("%s: %w", series, err)
		}
		switch name, _, _ := strings.Cut(series, "{"); name {
		case "keylife_process_goroutines":
			s.Goroutines, found = figure, found+1
		case "keylife_process_heap_live_bytes":
			s.Heap, found = figure, found+1
		}
	}
	if found != 2 {
		return fmt.Errorf("metrics of the process: %v", values)
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
