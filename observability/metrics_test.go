// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observability_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/metrics"
)

var (
	// named is a metric where it is named, with what its labels have to be. What has a colon before it is a recording rule.
	named   = regexp.MustCompile(`(?:^|[^:\w])(keylife_\w+)(?:\{([^}]*)\})?`)
	matcher = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)`)
	values  = regexp.MustCompile(`"[^"]*"|'[^']*'`)
)

// ofEach are labels that each series has; le is of the buckets of a histogram.
var ofEach = []string{"mount", "le"}

func TestEachMetricThatIsNamedIsThere(t *testing.T) {
	labels := map[string][]string{}
	for _, f := range metrics.Families() {
		labels[f.Name] = slices.Concat(f.Labels, ofEach)
		if f.Type == metrics.Histogram {
			labels[f.Name+"_bucket"] = labels[f.Name]
		}
	}
	for _, file := range []string{rulesFile, alertsFile, dashboardFile, runbooks} {
		found := named.FindAllStringSubmatch(strings.ReplaceAll(read(t, file), `\"`, `"`), -1)
		require.NotEmpty(t, found, file)
		for _, match := range found {
			require.Contains(t, labels, match[1], file)
			for _, label := range matcher.FindAllStringSubmatch(values.ReplaceAllString(match[2], ""), -1) {
				require.Contains(t, labels[match[1]], label[1], "%s: a label of %s", file, match[1])
			}
		}
	}
}

// What is measured is looked at by somebody: an alert, or a panel.
func TestEachMetricIsLookedAt(t *testing.T) {
	looked := read(t, rulesFile) + read(t, alertsFile) + read(t, dashboardFile)
	for _, f := range metrics.Families() {
		require.Regexp(t, `\b`+f.Name+`(_bucket)?\b`, looked)
	}
}
