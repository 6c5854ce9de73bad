// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observability_test

import (
	"cmp"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const runbookURL = "https://github.com/keylife/vault-plugin-keylife/blob/main/docs/runbooks.md#"

var (
	headings = regexp.MustCompile(`(?m)^## (.*)$`)
	lines    = regexp.MustCompile(`(?m)^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \| (\w+) \|`)
)

func TestEachAlertHasARunbookAndEachRunbookAnAlert(t *testing.T) {
	var alerts, found []string
	for _, a := range rulesOf(t, alertsFile) {
		alerts = append(alerts, a.Alert)
		require.Equal(t, runbookURL+strings.ToLower(a.Alert), a.Annotations["runbook_url"], a.Alert)
	}
	for _, match := range headings.FindAllStringSubmatch(read(t, runbooks), -1) {
		found = append(found, match[1])
	}
	require.Equal(t, alerts, found)
}

func TestARunbookSaysWhatItMeansWhereToLookWhatToDoAndWhenItEnds(t *testing.T) {
	parts := headings.Split(read(t, runbooks), -1)
	for _, text := range parts[1:] {
		require.Regexp(t, `(?s)^\n\n\*\*Means\.\*\* .+\n\n\*\*Look\.\*\*\n\n`+"```\n\\$ .+\n```"+`\n\n\*\*Do\.\*\* .+\n\n\*\*Ends\*\* when [^\n]+`, text)
	}
}

func TestTheTableOfRunbooksSaysWhatTheRulesDo(t *testing.T) {
	var alerts, rows [][]string
	for _, a := range rulesOf(t, alertsFile) {
		alerts = append(alerts, []string{a.Alert, strings.ToLower(a.Alert), a.Labels["severity"], cmp.Or(a.For, "0")})
	}
	for _, match := range lines.FindAllStringSubmatch(read(t, runbooks), -1) {
		rows = append(rows, match[1:])
	}
	require.Equal(t, alerts, rows)
}

func TestEachAlertSaysHowSevereItIsAndWhatIsSo(t *testing.T) {
	for _, a := range rulesOf(t, alertsFile) {
		require.Contains(t, []string{"critical", "warning", "info"}, a.Labels["severity"], a.Alert)
		require.Contains(t, a.Annotations["summary"], "$labels.mount", a.Alert)
		require.Contains(t, a.Annotations["description"], "$labels.mount", a.Alert)
	}
}
