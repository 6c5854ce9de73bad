// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package docs_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	commandOfVault = regexp.MustCompile(`vault (read|list|write|delete) [^` + "`" + `\n]*keylife/[^` + "`" + `\n]*`)
	placeholder    = regexp.MustCompile(`\$[A-Z]+`)
)

// What is to be typed while an alert fires is a request to a path that is there.
func TestCommandsOfTheRunbooksLeadToPaths(t *testing.T) {
	text, err := os.ReadFile("runbooks.md")
	require.NoError(t, err)
	all := published(t)
	commands := commandOfVault.FindAllString(string(text), -1)
	require.Greater(t, len(commands), 40, "commands are no longer found")
	for _, line := range commands {
		sent := strings.Join(strings.Fields(parsed(t, "vault", placeholder.ReplaceAllString(strings.TrimPrefix(line, "vault "), "1")))[:2], " ")
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(all)), func(endpoint string) bool { return leads(sent, endpoint, all) }), "%s: %s", line, sent)
	}
}
