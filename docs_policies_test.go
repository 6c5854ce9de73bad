// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fieldRow is a row of a table of fields: name, type, unit, default, rule, source.
var fieldRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|[^|]+\\|[^|]*\\| ([^|]+) \\|[^|]+\\|[^|]+\\|$")

func TestDocsShowEveryFieldOfAPolicyWithItsDefault(t *testing.T) {
	page, err := os.ReadFile("docs/policies.md")
	require.NoError(t, err)
	shown := map[string]string{}
	for _, row := range fieldRow.FindAllStringSubmatch(string(page), -1) {
		require.NotContains(t, shown, row[1], "%s is there twice", row[1])
		shown[row[1]] = row[2]
	}
	want := map[string]string{}
	for name, schema := range contentFields {
		want[name] = defaultText(schema.DefaultOrZero())
	}
	want["owner"] = "none"
	require.Equal(t, want, shown)
}

// defaultText is how the page shows a default.
func defaultText(value any) string {
	text := fmt.Sprint(value)
	switch list := value.(type) {
	case []string:
		text = strings.Join(list, ", ")
	case map[string]string, map[string]any:
		text = ""
	}
	if text == "" {
		return "empty"
	}
	return "`" + text + "`"
}
