// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package docs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A command below a sample is another way to send it.
var (
	command = regexp.MustCompile(`^\$ (curl|vault) (.*)$`)
	word    = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)
	inURL   = regexp.MustCompile(`^\S+/v1/keylife/(\S+)$`)
)

func TestCommandsBelowASampleSendIt(t *testing.T) {
	files, err := filepath.Glob("api/*.md")
	require.NoError(t, err)
	checked := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
			lines := strings.Split(block[1], "\n")
			samples := samplesOf(t, lines)
			for i, line := range lines {
				match := command.FindStringSubmatch(line)
				above := slices.IndexFunc(samples, func(s sample) bool { return s.answered > i })
				if above < 0 {
					above = len(samples)
				}
				if match == nil || above == 0 {
					continue // not of this mount: no sample is above it
				}
				s := samples[above-1]
				require.Equal(t, requestOf(s.method, s.path, s.body), parsed(t, match[1], match[2]), "%s: %s", file, line)
				checked++
			}
		}
	}
	require.NotZero(t, checked)
}

// requestOf is a request as a text; the vault command sends all values as texts.
func requestOf(method, path string, body map[string]any) string {
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(body)) {
		fields = append(fields, fmt.Sprintf("%s=%v", name, body[name]))
	}
	return strings.Join(append([]string{method, path}, fields...), " ")
}

func parsed(t *testing.T, program, rest string) string {
	t.Helper()
	words := word.FindAllString(rest, -1)
	for i := range words {
		words[i] = strings.Trim(words[i], `'"`)
	}
	if program == "curl" {
		return parsedCurl(t, words)
	}
	method, body := map[string]string{"read": "GET", "list": "LIST", "write": "POST", "delete": "DELETE"}[words[0]], map[string]any{}
	words = slices.DeleteFunc(words[1:], func(word string) bool { return strings.HasPrefix(word, "-") })
	for _, pair := range words[1:] {
		name, value, _ := strings.Cut(pair, "=")
		body[name] = value
	}
	return requestOf(method, strings.TrimPrefix(words[0], "keylife/"), body)
}

func parsedCurl(t *testing.T, words []string) string {
	t.Helper()
	method, path, body := "GET", "", map[string]any{}
	for i := 0; i < len(words); i++ {
		switch match := inURL.FindStringSubmatch(words[i]); {
		case words[i] == "-H":
			i++
		case words[i] == "-X":
			i++
			method = words[i]
		case words[i] == "-d":
			i++
			method = "POST"
			require.NoError(t, json.Unmarshal([]byte(words[i]), &body), words[i])
		case match != nil:
			path = match[1]
		default:
			t.Fatalf("curl: %s", words[i])
		}
	}
	return requestOf(method, path, body)
}
