// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/stretchr/testify/require"
)

// longestDetail and mostDetails are what a custody record keeps.
const longestDetail, mostDetails = 512, 32

func labelled(labels map[string]string) lifecycle.Key { return lifecycle.Key{Labels: labels} }

func TestDifferencesNameTheLabelsThatChanged(t *testing.T) {
	before := labelled(map[string]string{"env": "dev", "team": "cards", "old": "x", "same": "y"})
	after := labelled(map[string]string{"env": "prod", "team": "cards -> payments", "new": "", "same": "y"})
	require.Equal(t, map[string]string{
		"labels": `env: "dev" -> "prod"; new: none -> ""; old: "x" -> none; team: "cards" -> "cards -> payments"`,
	}, lifecycle.Differences(before, after))
	require.Empty(t, lifecycle.Differences(before, before))
	require.Empty(t, lifecycle.Differences(labelled(nil), labelled(map[string]string{})))
}

func TestDifferencesNameBothSidesHoweverLong(t *testing.T) {
	for _, field := range []struct {
		name string
		key  func(text string) lifecycle.Key
		long int
	}{
		{"owner", func(text string) lifecycle.Key { return lifecycle.Key{Owner: text} }, 256},
		{"policy", func(text string) lifecycle.Key { return lifecycle.Key{Policy: text} }, 1024},
	} {
		from, to := "from"+strings.Repeat("ä", field.long/2-4)+"-1", "to"+strings.Repeat("b", field.long-4)+"-2"
		text := lifecycle.Differences(field.key(from), field.key(to))[field.name]
		require.LessOrEqual(t, len(text), longestDetail)
		for _, part := range []string{"from", "-1 -> to", "-2"} {
			require.Contains(t, text, part)
		}
		require.True(t, strings.HasPrefix(text, "from") && strings.HasSuffix(text, "-2"))
		require.Equal(t, text, strings.ToValidUTF8(text, "?"))
	}
}

func TestDifferencesOfAllLabelsFitARecord(t *testing.T) {
	const labels = 64
	before, after, others := map[string]string{}, map[string]string{}, map[string]string{}
	for n := range labels {
		before[name(n)], after[name(n)], others[name(n)+"+"] = strings.Repeat("ü", 128), strings.Repeat("\x00", 256), "x"
	}
	for _, change := range []struct {
		to    map[string]string
		count int
	}{{after, labels}, {others, 2 * labels}, {nil, labels}} {
		details, text := lifecycle.Differences(labelled(before), labelled(change.to)), ""
		require.LessOrEqual(t, len(details), mostDetails/2)
		for _, detail := range details {
			require.LessOrEqual(t, len(detail), longestDetail)
			require.Equal(t, detail, strings.ToValidUTF8(detail, "?"))
			text += detail
		}
		require.Contains(t, text, name(0)+`: "üüü`)
		if named := strings.Count(text, " -> "); named < change.count {
			require.Contains(t, text, fmt.Sprintf("; and %d more", change.count-named))
		}
	}
}

// name is a name of the most bytes that a label's may have, less one.
func name(n int) string { return fmt.Sprintf("%02d%s", n, strings.Repeat("n", 61)) }
