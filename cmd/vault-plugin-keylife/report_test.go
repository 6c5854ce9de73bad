// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/report"
)

// reportingMount is a mount with so many keys, of which a page of a report has one.
type reportingMount struct {
	*testing.T
	key    custody.SigningKey
	names  []string
	asked  []string
	tamper func(page int, s *custody.Signed)
}

func newReportingMount(t *testing.T, keys int) *reportingMount {
	t.Helper()
	key, err := custody.NewSigningKey(strings.NewReader(strings.Repeat("r", 32)), time.Unix(1, 0), 1, nil)
	require.NoError(t, err)
	m := &reportingMount{T: t, key: key, tamper: func(int, *custody.Signed) {}}
	for i := range keys {
		m.names = append(m.names, fmt.Sprintf("k%d", i))
	}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	t.Setenv("VAULT_ADDR", server.URL)
	t.Setenv("VAULT_TOKEN", "t")
	return m
}

// ServeHTTP is [http.Handler]'s.
func (m *reportingMount) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.asked = append(m.asked, r.Method+" "+r.URL.String())
	switch r.URL.Path {
	case "/v1/keylife/custody/public-key":
		m.answer(w, map[string]any{"keys": custody.PublicKeys{m.key.Public()}})
	case "/v1/keylife/compliance/report":
		m.page(w, r.URL.Query().Get("tag"), r.URL.Query().Get("after"))
	default:
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":["permission denied"]}`)
	}
}

func (m *reportingMount) page(w http.ResponseWriter, tag, after string) {
	if tag == "iso" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"errors":["tag: \"iso\": must be a standard"]}`)
		return
	}
	i := 0
	for i < len(m.names) && m.names[i] <= after {
		i++
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f := report.Facts{
		From: at.Add(-time.Hour), To: at, Policies: []report.Policy{{Name: "pci"}},
		Keys: []report.Key{{Name: m.names[i], Bits: 256, Labels: map[string]string{"x": "<b>"}}},
	}
	head := report.Page{Tag: tag, Instance: "i1", Time: at, After: after}
	if i+1 < len(m.names) {
		head.Next = m.names[i]
	}
	text, err := report.Assess(head, f).Encode()
	require.NoError(m, err)
	signed, err := custody.SignReport(text, m.key)
	require.NoError(m, err)
	m.tamper(i, &signed)
	m.answer(w, map[string]any{
		"payload": signed.Payload, "key_id": signed.KeyID, "signature": signed.Signature, "next_after": head.Next,
		"from": f.From.Format(time.RFC3339), "to": f.To.Format(time.RFC3339),
	})
}

func (m *reportingMount) answer(w io.Writer, data map[string]any) {
	require.NoError(m, json.NewEncoder(w).Encode(map[string]any{"request_id": "r", "data": data}))
}

// ran is what a run of the command left.
type ran struct {
	code      int
	out, errs string
}

func runReport(args ...string) ran {
	var out, errs strings.Builder
	code := writeReport(args, &out, &errs)
	return ran{code, out.String(), errs.String()}
}

func TestAReportIsReadInPagesAndWrittenWhole(t *testing.T) {
	m := newReportingMount(t, 3)
	dir := t.TempDir()
	saved, keys := filepath.Join(dir, "pages.json"), filepath.Join(dir, "keys.json")
	md := runReport("-tag", "soc2", "-save", saved)
	require.Equal(t, exitClean, md.code, md.errs)
	require.Equal(t, []string{
		"GET /v1/keylife/custody/public-key", "GET /v1/keylife/compliance/report?tag=soc2",
		"GET /v1/keylife/compliance/report?after=k0&from=2026-02-28T23%3A00%3A00Z&tag=soc2&to=2026-03-01T00%3A00%3A00Z",
		"GET /v1/keylife/compliance/report?after=k1&from=2026-02-28T23%3A00%3A00Z&tag=soc2&to=2026-03-01T00%3A00%3A00Z",
	}, m.asked)
	require.Contains(t, md.out, "| Keys | 3 |")
	require.Contains(t, md.out, "| Pages | 3, signed by "+m.key.Public().ID+"; the mount itself gave the public keys")
	require.NotContains(t, md.out, "<b>")

	text, err := json.Marshal(map[string]any{"keys": custody.PublicKeys{m.key.Public()}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(keys, text, 0o600))
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1") // nobody is asked from here on
	html := runReport("-from-file", saved, "-keys", keys, "-pin", m.key.Public().ID, "-format", "html")
	require.Equal(t, exitClean, html.code, html.errs)
	require.Contains(t, html.out, "<tr><th>Keys</th><td>3</td></tr>")
	require.Contains(t, html.out, "which was pinned")
	require.Contains(t, html.out, "&lt;b&gt;")
	require.Equal(t, md.out, strings.Replace(runReport("-from-file", saved, "-keys", keys).out,
		"the public keys were given in a file", "the mount itself gave the public keys", 1))

	wrong := runReport("-from-file", saved, "-keys", keys, "-pin", "other")
	require.Equal(t, exitProblems, wrong.code)
	require.Empty(t, wrong.out)
}

func TestAPageThatTheMountDidNotSignMakesNoReport(t *testing.T) {
	for name, tamper := range map[string]func(page int, s *custody.Signed){
		"page 2: ":      func(page int, s *custody.Signed) { s.Payload = strings.Replace(s.Payload, `"k1"`, `"k9"`, page%2) },
		"page 1: ":      func(_ int, s *custody.Signed) { s.Signature = "" },
		"no public key": func(_ int, s *custody.Signed) { s.KeyID = "x" },
	} {
		m := newReportingMount(t, 3)
		m.tamper = tamper
		r := runReport("-tag", "soc2")
		require.Equal(t, exitProblems, r.code, name)
		require.Contains(t, r.errs, name)
		require.Empty(t, r.out)
	}
}

func TestAReportOfWhichAPageIsMissingIsNone(t *testing.T) {
	m := newReportingMount(t, 3)
	dir := t.TempDir()
	saved, keys := filepath.Join(dir, "pages.json"), filepath.Join(dir, "keys.json")
	require.Equal(t, exitClean, runReport("-tag", "soc2", "-save", saved).code)
	text, err := json.Marshal(map[string]any{"data": map[string]any{"keys": custody.PublicKeys{m.key.Public()}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(keys, text, 0o600))
	pages, err := os.ReadFile(saved)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(pages), "\n")
	for want, content := range map[string]string{
		"is missing":               lines[0] + lines[1],
		"begins behind":            lines[1] + lines[0] + lines[2],
		"there is no page":         "",
		"is no page":               "{}",
		"page 1: want an object":   "[]",
		"unexpected EOF":           lines[0][:40],
		`"payload" is there twice`: `{"payload":"a","data":{"payload":"b"}}`,
	} {
		require.NoError(t, os.WriteFile(saved, []byte(content), 0o600))
		r := runReport("-from-file", saved, "-keys", keys)
		require.NotEqual(t, exitClean, r.code, want)
		require.Contains(t, r.errs, want)
		require.Empty(t, r.out)
	}
}

func TestWhatKeepsAReportFromBeingMade(t *testing.T) {
	newReportingMount(t, 1)
	for want, args := range map[string]string{
		"-tag or -from-file is needed":    "",
		"-format is md or html":           "-tag soc2 -format pdf",
		"do not go with -from-file":       "-tag soc2 -from-file x -keys y",
		"-from-file needs -keys":          "-from-file x",
		"behind the flags":                "-tag soc2 more",
		"must not be empty":               "-tag=",
		`status 400: tag: "iso": must be`: "-tag iso",
		"status 403: permission denied":   "-tag soc2 -mount other/",
		"no such file":                    "-from-file /none -keys /none",
	} {
		r := runReport(strings.Fields(args)...)
		require.Equal(t, exitUnusable, r.code, args)
		require.Contains(t, r.errs, want)
		require.Empty(t, r.out)
	}
	require.Equal(t, exitClean, runReport("-h").code)
}
