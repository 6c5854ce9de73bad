// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package docs_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/metrics"
)

var metricsTable = regexp.MustCompile(`(?s)<!-- metrics -->\n(.*?)<!-- end -->`)

func TestTheTableOfMetricsIsThatOfTheCode(t *testing.T) {
	const page = "observability.md"
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var table strings.Builder
	table.WriteString("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, f := range metrics.Families() {
		labels := ""
		if len(f.Labels) > 0 {
			labels = "`" + strings.Join(f.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.Name, f.Type, labels, f.Help)
	}
	require.Regexp(t, metricsTable, string(text))
	made := metricsTable.ReplaceAllLiteralString(string(text), "<!-- metrics -->\n"+table.String()+"<!-- end -->")
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(made), 0o600))
		return
	}
	require.Equal(t, string(text), made)
}
