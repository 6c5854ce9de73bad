// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Prometheus is a server of Debian's that scrapes and evaluates rules for one test.
type Prometheus struct {
	address, log string
	process      *process
}

// Sample is a series with its value at one time.
type Sample struct {
	Metric map[string]string `json:"metric"`
	Value  []any             `json:"value"` // Unix time, and the value as a text
}

// Firing is an alert that fires.
type Firing struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
}

// StartPrometheus runs a server with a configuration, which is YAML, and waits until it is ready. It ends with the test.
func StartPrometheus(t testing.TB, config string) *Prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	require.NoError(t, err, "Prometheus is missing: apt-get install prometheus, which scripts/deps.sh does")
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	addresses, err := freeAddresses(1)
	require.NoError(t, err)
	p := &Prometheus{address: addresses[0], log: filepath.Join(dir, "prometheus.log")}
	p.process, err = startProcess(p.log, program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+p.address, "--log.level=warn")
	require.NoError(t, err)
	t.Cleanup(func() {
		p.process.kill()
		if text, err := os.ReadFile(p.log); err == nil && t.Failed() {
			t.Logf("the log of Prometheus:\n%s", text)
		}
	})
	Eventually(t, startTimeout, func() error {
		if !p.process.running() {
			return fmt.Errorf("prometheus has ended by itself")
		}
		return p.get("/-/ready", nil)
	})
	return p
}

// Query evaluates an expression now.
func (p *Prometheus) Query(t testing.TB, expr string) []Sample {
	t.Helper()
	var answer struct{ Data struct{ Result []Sample } }
	require.NoError(t, p.get("/api/v1/query?query="+url.QueryEscape(expr), &answer), expr)
	return answer.Data.Result
}

// Firing returns the alerts that fire.
func (p *Prometheus) Firing(t testing.TB) (firing []Firing) {
	t.Helper()
	var answer struct{ Data struct{ Alerts []Firing } }
	require.NoError(t, p.get("/api/v1/alerts", &answer))
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			firing = append(firing, a)
		}
	}
	return firing
}

// get reads a path of the API; into is nil where the status says it all.
func (p *Prometheus) get(path string, into any) error {
	response, err := http.Get("http://" + p.address + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("prometheus answers %d", response.StatusCode)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}
