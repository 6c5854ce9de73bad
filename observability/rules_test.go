// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observability_test

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheRulesAreRules(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", rulesFile, alertsFile)
	promtool(t, "check", "config", "--syntax-only", "prometheus/scrape.example.yaml")
}

func TestTheRulesPassTheirTests(t *testing.T) {
	t.Parallel()
	promtool(t, append([]string{"test", "rules"}, testFiles(t)...)...)
}

// In a cluster several targets answer for one node, and what finds targets gives each labels of its own.
func TestASecondTargetOfTheSameNodeChangesNoAlert(t *testing.T) {
	t.Parallel()
	var doubled []string
	for _, file := range testFiles(t) {
		var tests ruleTests
		readYAML(t, file, &tests)
		for i, name := range tests.RuleFiles {
			absolute, err := filepath.Abs(filepath.Join(filepath.Dir(file), name))
			require.NoError(t, err)
			tests.RuleFiles[i] = absolute
		}
		for i, test := range tests.Tests {
			for _, s := range test.Series {
				second := strings.Replace(s.Series, `instance="vault-1:8200"`, `instance="vault-2:8200",pod="vault-2"`, 1)
				require.NotEqual(t, s.Series, second, test.Name)
				tests.Tests[i].Series = append(tests.Tests[i].Series, series{second, s.Values})
			}
		}
		doubled = append(doubled, writeYAML(t, filepath.Base(file), tests))
	}
	promtool(t, append([]string{"test", "rules"}, doubled...)...)
}

// Each alert is silent, fires and ends in one of its tests. What counts is silent at a reset of the counter, and fires after it.
func TestEachAlertIsTestedFromItsBeginningToItsEnd(t *testing.T) {
	whole, reset := map[string]bool{}, map[string]bool{}
	for _, file := range testFiles(t) {
		var tests ruleTests
		readYAML(t, file, &tests)
		for _, test := range tests.Tests {
			for _, name := range test.alerts() {
				whole[name] = whole[name] || strings.Contains(test.phases(t, name), "-!-")
				reset[name] = reset[name] || test.resets(t) && strings.HasPrefix(test.phases(t, name), "-!")
			}
		}
	}
	counted := countedRecords(t)
	for _, a := range rulesOf(t, alertsFile) {
		require.True(t, whole[a.Alert], "no test has %s silent, firing and silent again", a.Alert)
		if counts(a.Expr, counted) {
			require.True(t, reset[a.Alert], "no test has %s fire after a reset of its counter", a.Alert)
		}
	}
}

// countedRecords are the recording rules that count.
func countedRecords(t *testing.T) (names []string) {
	t.Helper()
	for _, r := range rulesOf(t, rulesFile) {
		if counts(r.Expr, nil) {
			names = append(names, r.Record)
		}
	}
	return names
}

func counts(expr string, records []string) bool {
	return strings.Contains(expr, "_total") || slices.ContainsFunc(records, func(name string) bool { return strings.Contains(expr, name) })
}

func testFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("prometheus/tests/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// ruleTests is a file of tests, as promtool reads it.
type ruleTests struct {
	RuleFiles  []string   `yaml:"rule_files"`
	Interval   string     `yaml:"evaluation_interval"`
	GroupOrder []string   `yaml:"group_eval_order"`
	Tests      []ruleTest `yaml:"tests"`
}

type ruleTest struct {
	Name     string   `yaml:"name"`
	Interval string   `yaml:"interval"`
	Series   []series `yaml:"input_series"`
	Alerts   []struct {
		At       string           `yaml:"eval_time"`
		Name     string           `yaml:"alertname"`
		Expected []map[string]any `yaml:"exp_alerts,omitempty"`
	} `yaml:"alert_rule_test"`
}

type series struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

func (r ruleTest) alerts() []string {
	names := map[string]bool{}
	for _, a := range r.Alerts {
		names[a.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// phases has a character for each change of an alert in a test: - it is silent, ! it fires.
func (r ruleTest) phases(t *testing.T, name string) (phases string) {
	t.Helper()
	var last time.Duration
	for _, a := range r.Alerts {
		at, err := time.ParseDuration(a.At)
		require.NoError(t, err)
		require.GreaterOrEqual(t, at, last, "%s: in the order of time", r.Name)
		last = at
		phase := "-"
		if len(a.Expected) > 0 {
			phase = "!"
		}
		if a.Name == name && !strings.HasSuffix(phases, phase) {
			phases += phase
		}
	}
	return phases
}

// run is a part of the values of a series: where it begins, its step, and how often.
var run = regexp.MustCompile(`^(-?[\d.]+)([+-][\d.]+)?x(\d+)$`)

// resets reports a counter that falls.
func (r ruleTest) resets(t *testing.T) bool {
	t.Helper()
	return slices.ContainsFunc(r.Series, func(s series) bool {
		last := 0.0
		for _, part := range strings.Fields(s.Values) {
			match := run.FindStringSubmatch(part)
			if match == nil || !strings.Contains(s.Series, "_total{") {
				return false
			}
			begin, step, n := number(t, match[1]), number(t, "0"+match[2]), number(t, match[3])
			if begin < last {
				return true
			}
			last = begin + step*n
		}
		return false
	})
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(strings.TrimPrefix(text, "0+"), 64)
	require.NoError(t, err)
	return n
}
