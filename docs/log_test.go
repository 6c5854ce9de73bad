// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	logRow  = regexp.MustCompile(`(?m)^\| (?:DEBUG|INFO|WARN|ERROR) \| ([^|]+) \|`)
	message = regexp.MustCompile("`([^`]+)`")
)

func TestMessagesOfTheLogAreThoseOfTheCode(t *testing.T) {
	var source strings.Builder
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		source.Write(text)
		return err
	}))
	rows := logRow.FindAllStringSubmatch(prose(t, "operations.md"), -1)
	require.Greater(t, len(rows), 10, "the table of messages is no longer found")
	for _, row := range rows {
		for _, text := range message.FindAllStringSubmatch(row[1], -1) {
			require.True(t, strings.Contains(source.String(), `"`+text[1]+`"`), "%q is no message of the code", text[1])
		}
	}
}
