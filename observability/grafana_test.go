// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observability_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	dashboardFile = "grafana/keylife.json"
	columns       = 24 // of Grafana's grid
)

// units are Grafana's names of what the panels show.
var units = []string{"short", "s", "ops", "Bps", "percentunit", "bytes", "dateTimeAsIso"}

// dashboard is what these tests read of Grafana's JSON.
type dashboard struct {
	Panels     []panel
	Templating struct {
		List []struct {
			Name, Type string
			Query      json.RawMessage
			Definition string
			Datasource source
		}
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	GridPos                  box
	Targets                  []struct {
		Expr       string
		Datasource source
	}
	FieldConfig struct{ Defaults struct{ Unit string } }
}

type source struct{ Type, UID string }

type box struct{ X, Y, W, H int }

func (b box) meets(o box) bool {
	return b.X < o.X+o.W && o.X < b.X+b.W && b.Y < o.Y+o.H && o.Y < b.Y+b.H
}

// chosen is the data source that the user of the dashboard chose.
var chosen = source{"prometheus", "${datasource}"}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(read(t, dashboardFile)), &d))
	return d
}

func TestTheDashboardHasItsRowsAndVariables(t *testing.T) {
	d := readDashboard(t)
	var rows, variables []string
	for _, p := range d.Panels {
		if p.Type == "row" {
			rows = append(rows, p.Title)
		}
	}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name+" "+v.Type)
		if v.Type == "query" {
			require.Equal(t, chosen, v.Datasource)
			require.Equal(t, "label_values(keylife_info, mount)", v.Definition)
		}
	}
	require.Equal(t, []string{"Attention", "Rotations", "Use", "Storage and HSM", "Governance", "Process"}, rows)
	require.Equal(t, []string{"datasource datasource", "mount query"}, variables)
}

func TestPanelsHaveAPlaceOfTheirOwn(t *testing.T) {
	all := readDashboard(t).Panels
	for i, p := range all {
		require.True(t, p.GridPos.X >= 0 && p.GridPos.W > 0 && p.GridPos.H > 0 && p.GridPos.X+p.GridPos.W <= columns, p.Title)
		for _, o := range all[:i] {
			require.NotEqual(t, o.ID, p.ID, "%s and %s", o.Title, p.Title)
			require.False(t, p.GridPos.meets(o.GridPos), "%s lies on %s", p.Title, o.Title)
		}
	}
}

func TestPanelsSayWhatTheyShowAndInWhichUnit(t *testing.T) {
	for _, p := range readDashboard(t).Panels {
		if p.Type == "row" {
			continue
		}
		require.NotEmpty(t, p.Description, p.Title)
		require.Equal(t, chosen, p.Datasource, p.Title)
		require.Contains(t, units, p.FieldConfig.Defaults.Unit, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			require.Equal(t, chosen, target.Datasource, p.Title)
			require.Contains(t, target.Expr, `mount=~"$mount`, "%s: of the mounts that are chosen", p.Title)
		}
	}
}

// Prometheus parses the queries as the rules of a file that is made of them.
func TestQueriesOfTheDashboardAreQueries(t *testing.T) {
	var rules []map[string]string
	for i, expr := range queries(t) {
		rules = append(rules, map[string]string{"record": fmt.Sprintf("query:%d", i), "expr": expr})
	}
	promtool(t, "check", "rules", writeYAML(t, "queries.yaml", map[string]any{
		"groups": []any{map[string]any{"name": "queries", "rules": rules}},
	}))
}

// queries are those of the dashboard, each once, with values for Grafana's variables.
func queries(t *testing.T) (all []string) {
	t.Helper()
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			all = append(all, strings.NewReplacer("$mount", ".*", "$__rate_interval", "5m").Replace(target.Expr))
		}
	}
	for _, expr := range all {
		require.NotContains(t, expr, "$", "a variable that the dashboard does not have")
	}
	slices.Sort(all)
	return slices.Compact(all)
}
