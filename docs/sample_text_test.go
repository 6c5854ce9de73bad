// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package docs_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A sample stands in a block without a language: a request, and below it what is answered.
//
//	POST keylife/encrypt/orders {"plaintext":"aGVsbG8="}
//	{"ciphertext":"vault:v1:...","key_version":1}
//	warnings: ...
//
// A body may go on in the next lines. An answer begins with its status where that is not 200: 204 has nothing behind it. One
// that ends with ", ...}" shows some of its fields.
type sample struct {
	text                     string // of the request, as it is written
	method, path             string
	body                     map[string]any // or what the query string has
	status                   int
	answer                   any
	warnings                 string
	some                     bool // the answer shows some of the fields
	answered, first, further int  // the line of the request, of the answer, and of what is behind it
}

var (
	requestLine = regexp.MustCompile(`^(GET|LIST|POST|DELETE) keylife/(\S+)(?: (\{.*))?$`)
	someFields  = regexp.MustCompile(`,\s+\.\.\.\}$`)
	statusLine  = regexp.MustCompile(`^(\d{3})(?: |$)`)
)

// samplesOf reads the samples of a block.
func samplesOf(t *testing.T, lines []string) []sample {
	t.Helper()
	var all []sample
	for at := 0; at < len(lines); at++ {
		match := requestLine.FindStringSubmatch(lines[at])
		if match == nil {
			continue
		}
		s := sample{method: match[1], answered: at}
		body := match[3]
		for body != "" && !json.Valid([]byte(body)) {
			at++
			require.Less(t, at, len(lines), "a body without an end: %s", body)
			body += strings.TrimSpace(lines[at])
		}
		s.text, s.first = strings.Join(lines[s.answered:at+1], "\n"), at+1
		s.readRequest(t, match[2], body)
		for s.further = s.first; s.further < len(lines) && isAnswer(lines[s.further]); s.further++ {
		}
		s.readAnswer(t, lines[s.first:s.further])
		all = append(all, s)
		at = s.further - 1
	}
	return all
}

func isAnswer(line string) bool {
	return line != "" && !requestLine.MatchString(line) && !strings.HasPrefix(line, "$ ")
}

func (s *sample) readRequest(t *testing.T, path, body string) {
	t.Helper()
	where, query, _ := strings.Cut(path, "?")
	s.path, s.body = where, map[string]any{}
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	for name := range values {
		s.body[name] = values.Get(name)
	}
	if body != "" {
		require.NoError(t, json.Unmarshal([]byte(body), &s.body), body)
	}
}

func (s *sample) readAnswer(t *testing.T, lines []string) {
	t.Helper()
	if len(lines) > 0 && strings.HasPrefix(lines[len(lines)-1], "warnings: ") {
		s.warnings = strings.TrimPrefix(lines[len(lines)-1], "warnings: ")
		lines = lines[:len(lines)-1]
	}
	text := strings.Join(lines, "\n")
	if s.status = 200; statusLine.MatchString(text) {
		s.status, _ = strconv.Atoi(text[:3])
		text = strings.TrimSpace(text[3:])
	}
	if text == "" {
		return
	}
	full := someFields.ReplaceAllString(text, "}")
	s.some = full != text
	require.NoError(t, json.Unmarshal([]byte(full), &s.answer), "no answer: %s", text)
}

// render writes the answer as a page has it.
func (s *sample) render(t *testing.T) string {
	t.Helper()
	var text bytes.Buffer
	if s.status != 200 {
		text.WriteString(strconv.Itoa(s.status))
	}
	if s.answer != nil {
		if s.status != 200 {
			text.WriteString(" ")
		}
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		require.NoError(t, encoder.Encode(s.answer))
		text.Truncate(text.Len() - 1)
	}
	if s.some {
		text.Truncate(text.Len() - 1)
		text.WriteString(", ...}")
	}
	out := wrap(text.String())
	if s.warnings != "" {
		out += "\nwarnings: " + s.warnings
	}
	return out
}

const width = 120

// wrap breaks a JSON text behind commas that stand in no string.
func wrap(text string) string {
	var out strings.Builder
	column, from, quoted := 0, 0, false
	put := func(part string) {
		if column+len(part) > width && column > 0 {
			out.WriteString("\n ")
			column = 1
			part = strings.TrimPrefix(part, " ")
		}
		out.WriteString(part)
		column += len(part)
	}
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ',' && !quoted:
			put(text[from : i+1])
			from = i + 1
		}
	}
	put(text[from:])
	return out.String()
}

// shorten cuts what nobody reads to its end out of an answer.
func shorten(value any) any {
	const longest = 100
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = shorten(v[name])
		}
	case []any:
		for i := range v {
			v[i] = shorten(v[i])
		}
	case string:
		if len(v) > longest && !strings.Contains(v, " ") || strings.HasPrefix(v, "-----BEGIN ") || strings.HasPrefix(v, `{"format"`) {
			head := 24
			if i := strings.IndexByte(v, '\n'); i > 0 {
				head = i + 1 + 8
			}
			return v[:head] + "..."
		}
	}
	return value
}
