// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package observability_test holds the rules, the alerts, the dashboard and their runbooks against each other, against the
// metrics that there are, and against Prometheus' own tool.
package observability_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	rulesFile  = "prometheus/rules.yaml"
	alertsFile = "prometheus/alerts.yaml"
	runbooks   = "../docs/runbooks.md"
)

// A rule is one of Prometheus: Record or Alert is its name.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

// rulesOf are the rules of a file, in their order.
func rulesOf(t *testing.T, file string) (all []rule) {
	t.Helper()
	var parsed struct{ Groups []struct{ Rules []rule } }
	readYAML(t, file, &parsed)
	for _, group := range parsed.Groups {
		all = append(all, group.Rules...)
	}
	require.NotEmpty(t, all, file)
	return all
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal([]byte(read(t, file)), into), file)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

// writeYAML writes a file of the test and returns its path.
func writeYAML(t *testing.T, name string, value any) string {
	t.Helper()
	text, err := yaml.Marshal(value)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

// promtool runs Prometheus' tool, which has to be content.
func promtool(t *testing.T, arguments ...string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	require.NoError(t, err, "promtool is missing: apt-get install prometheus, which scripts/deps.sh does")
	out, err := exec.CommandContext(t.Context(), tool, arguments...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
