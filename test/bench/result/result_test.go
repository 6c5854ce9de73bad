// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package result_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

func section() result.Section {
	own, floor, peer := []float64{2000, 2200, 1000}, []float64{1000, 2000, 1000}, []float64{4000, 4400, 4000}
	return result.Section{
		Title: "Throughput", Intro: "Requests in turns.\n", Column: "keylife",
		Rows: []result.Row{
			{What: "encrypt", Value: result.Median(own), Unit: "/s", Also: []result.Also{{Name: "allocations", Value: 12}}, Beside: []result.Beside{
				result.Compare("the no-op plugin", own, floor).AtLeast(1.3),
				result.Compare("Transit", own, peer),
			}},
			{What: "memory", Value: 4.2, Unit: "KiB", Also: []result.Also{{Name: "memory", Value: 5, Unit: "B"}}, Target: &result.Target{AtMost: 4}},
			{What: "rotate", Value: 5, Unit: "ms", Beside: []result.Beside{result.Compare("Transit", []float64{5}, []float64{10}).AtMost(0.6)}},
		},
		Machine: result.Machine{Date: "2026-01-02", CPU: "A processor", Cores: 2, Go: "go1.26", Vault: "Vault v1.21.1"},
	}
}

func TestASectionIsRenderedWithItsTargets(t *testing.T) {
	require.Equal(t, `## Throughput

Requests in turns.

| | keylife | allocations | memory | beside the no-op plugin | beside Transit |
|---|---|---|---|---|---|
| encrypt | 2,000/s | 12 | – | **1.1 ×** (1.05–1.55) of 1,000/s | **0.5 ×** (0.375–0.5) of 4,000/s |
| memory | 4.2 KiB | – | 5 B | – | – |
| rotate | 5 ms | – | – | – | **0.5 ×** of 10 ms |

- encrypt, beside the no-op plugin: 1.1 ×, wanted at least 1.3 ×: **missed** by 15 %.
- memory: 4.2 KiB, wanted at most 4 KiB: **missed** by 5 %.
- rotate, beside Transit: 0.5 ×, wanted at most 0.6 ×: met.

Measured 2026-01-02 on A processor, 2 cores. go1.26; Vault v1.21.1.`, result.Markdown(section()))
}

func TestTheMachineIsSaidAgainWhereItChanges(t *testing.T) {
	other := section()
	other.Machine.Date = "2026-01-03"
	text := result.Markdown(section(), section(), other)
	require.Regexp(t, `(?s)^## .*Measured 2026-01-02.*## .*## .*Measured 2026-01-03[^#]*$`, text)
	require.NotRegexp(t, `(?s)Measured 2026-01-02.*Measured 2026-01-02`, text)
}

func TestFilesHoldSections(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "a.json"), filepath.Join(t.TempDir(), "b.json")
	a, b := section(), section()
	b.Title, b.Figure = "Cost", &result.Figure{File: "cost.svg", Alt: "Bars."}
	require.NoError(t, a.Write(first))
	require.NoError(t, b.Write(second))
	loaded, err := result.Load(second, first)
	require.NoError(t, err)
	require.Equal(t, []result.Section{b, a}, loaded)
	require.Contains(t, result.Markdown(loaded...), "![Bars.](cost.svg)")
}

func TestASectionIsOfThisMachineByDefault(t *testing.T) {
	t.Setenv("VAULT_BIN", "")
	path := filepath.Join(t.TempDir(), "a.json")
	s := section()
	s.Machine = result.Machine{}
	require.NoError(t, s.Write(path))
	loaded, err := result.Load(path)
	require.NoError(t, err)
	m := loaded[0].Machine
	require.NotZero(t, m.Cores)
	require.NotEmpty(t, m.CPU)
	require.Regexp(t, `^\d{4}-\d\d-\d\d$`, m.Date)
	require.Empty(t, m.Vault)
}

func TestWhatCannotBeToldIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*result.Section){
		"no title":         func(s *result.Section) { s.Title = "" },
		"no rows":          func(s *result.Section) { s.Rows = nil },
		"a nameless row":   func(s *result.Section) { s.Rows[1].What = "" },
		"a nameless other": func(s *result.Section) { s.Rows[0].Beside[0].Name = "" },
		"a nameless also":  func(s *result.Section) { s.Rows[0].Also[0].Name = "" },
		"two bounds":       func(s *result.Section) { s.Rows[1].Target.AtLeast = 3 },
		"no bound":         func(s *result.Section) { s.Rows[0].Beside[1].Target = &result.Target{} },
		"no number":        func(s *result.Section) { s.Rows[0].Value = math.NaN() },
	} {
		s := section()
		spoil(&s)
		require.Error(t, s.Write(filepath.Join(t.TempDir(), "a.json")), name)
	}
	for name, text := range map[string]string{
		"no JSON":           `{`,
		"an unknown member": `{"title": "a", "rows": [{"what": "b", "valeu": 1}]}`,
		"two bounds":        `{"title": "a", "rows": [{"what": "b", "target": {"at_least": 1, "at_most": 2}}]}`,
	} {
		path := filepath.Join(t.TempDir(), "a.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := result.Load(path)
		require.ErrorContains(t, err, path, name)
	}
	_, err := result.Load(filepath.Join(t.TempDir(), "absent.json"))
	require.Error(t, err)
}

func TestQuantiles(t *testing.T) {
	figures := []float64{4, 1, 3, 2}
	require.InDelta(t, 2.5, result.Median(figures), 1e-9)
	require.InDelta(t, 1.75, result.Quantile(figures, 0.25), 1e-9)
	require.InDelta(t, 1, result.Quantile(figures, 0), 1e-9)
	require.InDelta(t, 4, result.Quantile(figures, 1), 1e-9)
	require.Equal(t, []float64{4, 1, 3, 2}, figures, "the order of the rounds stays")
	require.InDelta(t, 7, result.Median([]float64{7}), 1e-9)
	require.True(t, math.IsNaN(result.Median(nil)))
}

// The median of ratios is not the ratio of medians: of two rounds that a load disturbed differently, each compares its own.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	b := result.Compare("other", []float64{10, 20, 400}, []float64{5, 100, 200})
	require.InDelta(t, 2, b.Ratio, 1e-9)
	require.InDelta(t, 100, b.Value, 1e-9)
	require.Panics(t, func() { result.Compare("other", []float64{1}, nil) })
	require.Panics(t, func() { result.Compare("other", nil, nil) })
}

func TestThreeDigitsCount(t *testing.T) {
	for figure, want := range map[float64]string{
		0: "0", 0.01234: "0.0123", 1.005: "1", 1.026: "1.03", 42.123: "42.1", 99.94: "99.9", 99.96: "100", 999.6: "1,000", 1234567: "1,234,567", -1234: "-1,234",
	} {
		require.Equal(t, want, result.Digits(figure))
	}
}
