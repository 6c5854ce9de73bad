// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/report"
)

var update = flag.Bool("update", false, "rewrite the golden reports")

// pagesOf are the pages of a report about the facts, so many keys each, as they come out of their JSON.
func pagesOf(t *testing.T, f report.Facts, tag string, limit int) (pages []report.Page) {
	t.Helper()
	keys, after := f.Keys, ""
	for {
		head := report.Page{Tag: tag, Instance: "i1", Time: to, After: after}
		f.Keys = keys[:min(limit, len(keys))]
		if keys = keys[len(f.Keys):]; len(keys) > 0 {
			head.Next = f.Keys[len(f.Keys)-1].Name
		}
		text, err := report.Assess(head, f).Encode()
		require.NoError(t, err)
		page, err := report.Decode(text)
		require.NoError(t, err)
		pages = append(pages, page)
		if after = head.Next; after == "" {
			return pages
		}
	}
}

func TestPagesJoinToTheWhole(t *testing.T) {
	f := many(7)
	for _, s := range report.Standards {
		whole := pagesOf(t, f, s.Tag, 99)
		require.Len(t, whole, 1)
		for limit := 1; limit < 8; limit++ {
			joined, err := report.Join(pagesOf(t, f, s.Tag, limit))
			require.NoError(t, err)
			require.Equal(t, whole[0], joined, "%s, %d keys a page", s.Tag, limit)
		}
	}
}

func TestAJoinedVerdictIsThatOfAllPages(t *testing.T) {
	f := many(3)
	f.Keys[1].Bits, f.Keys[1].MinStrength = 100, 0
	pages := pagesOf(t, f, "pci-dss-4.0.1/3.7.1", 1)
	require.Equal(t, report.Met, pages[0].Controls[0].Verdict)
	joined, err := report.Join(pages)
	require.NoError(t, err)
	require.Equal(t, report.NotMet, joined.Controls[0].Verdict)

	empty := pagesOf(t, f, "pci-dss-4.0.1/3.7.1", 3)[0]
	empty.After, empty.Keys = "key-02", []string{}
	first := pages[0]
	first.Next = "key-02"
	joined, err = report.Join([]report.Page{first, empty})
	require.NoError(t, err)
	require.NotEqual(t, report.Manual, joined.Controls[0].Verdict, "a last page without keys changes nothing")
}

func TestPagesThatDoNotBelongTogetherAreRefused(t *testing.T) {
	pages := func() []report.Page { return pagesOf(t, many(3), "gdpr", 1) }
	for want, bad := range map[string]func(p []report.Page) []report.Page{
		"there is no page":                                              func([]report.Page) []report.Page { return nil },
		`the page behind "key-01" is missing`:                           func(p []report.Page) []report.Page { return p[:2] },
		`begins behind "key-01", and the one before ends with "key-00"`: func(p []report.Page) []report.Page { return []report.Page{p[0], p[2]} },
		`page 1 begins behind "key-00"`:                                 func(p []report.Page) []report.Page { return p[1:] },
		"page 1 says that it is the last one":                           func(p []report.Page) []report.Page { p[0].Next = ""; return p },
		"page 2 is of another mount, tag or period":                     func(p []report.Page) []report.Page { p[1].Instance = "i2"; return p },
		"page 3 is of another mount, tag or period":                     func(p []report.Page) []report.Page { p[2].To = p[2].To.Add(time.Second); return p },
	} {
		_, err := report.Join(bad(pages()))
		require.ErrorIs(t, err, report.ErrPage)
		require.ErrorContains(t, err, want)
	}
	for _, text := range []string{"", "{}", `{"format":2}`, `{"format":1} x`, "[]"} {
		_, err := report.Decode([]byte(text))
		require.ErrorIs(t, err, report.ErrPage, text)
	}
}

func TestWithoutKeysNothingIsMet(t *testing.T) {
	f := good()
	f.Keys = nil
	for _, s := range report.Standards {
		for _, c := range assess(f, s.Tag).Controls {
			require.Equal(t, report.Manual, c.Verdict, c.Tag)
		}
	}
}

// whole is a report in which people wrote what is no text elsewhere.
func whole(t *testing.T) report.Whole {
	f := good()
	f.Policies[0].Description = "<script>alert(1)</script> | **bold** [x](javascript:alert(1)) www.example.com"
	f.Policies[0].Owner = "a\n\n# heading\u202e"
	f.Keys[0].Labels = map[string]string{"env": `"><img src=x onerror=alert(1)>`, "md": "| a | b |\n|---|---|\n`code` _x_ ~~y~~ &lt;"}
	f.Keys[0].Chain.Acts[0].By = "=cmd|' /C calc'!A0 <b>"
	page, err := report.Join(pagesOf(t, f, "pci-dss-4.0.1", 10))
	require.NoError(t, err)
	return report.Whole{Page: page, Pages: 1, Signers: []string{"4f2a"}, Trust: "the public keys begin with 4f2a, which was pinned"}
}

func TestReportsAreWrittenAsBefore(t *testing.T) {
	for name, write := range map[string]func(*strings.Builder) error{
		"report.md":   func(to *strings.Builder) error { return report.Markdown(to, whole(t)) },
		"report.html": func(to *strings.Builder) error { return report.HTML(to, whole(t)) },
	} {
		var text strings.Builder
		require.NoError(t, write(&text))
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), text.String(), name)
	}
}

func TestWhatPeopleWroteStaysText(t *testing.T) {
	var md, html strings.Builder
	require.NoError(t, report.Markdown(&md, whole(t)))
	require.NoError(t, report.HTML(&html, whole(t)))
	for _, bad := range []string{"<script", "<img", "<b>"} {
		require.NotContains(t, md.String(), bad)
		require.NotContains(t, html.String(), bad)
	}
	require.NotContains(t, md.String(), "\u202e")
	require.NotContains(t, md.String(), "www.")
	for _, line := range strings.Split(md.String(), "\n") {
		require.False(t, strings.HasPrefix(line, "# heading"), line)
		if strings.HasPrefix(line, "| key ") {
			require.Len(t, regexp.MustCompile(`(?:^|[^\\])\|`).FindAllString(line, -1), 7, "a cell made another one: %s", line)
		}
	}
	require.Contains(t, md.String(), `\[x\](javascript\:alert(1))`)
	require.Contains(t, md.String(), `| a  # heading  |`)
}

// The page of the manual has the table as the code has it.
func TestTheManualHasTheTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/compliance.md")
	require.NoError(t, err)
	seen := map[string]string{}
	for _, s := range report.Standards {
		require.Contains(t, string(text), "| `"+s.Tag+"` | ["+s.Name+"]("+s.URL+"), "+s.Edition+" |")
	}
	for _, c := range report.Controls {
		var names []string
		for _, e := range c.Evidence {
			names = append(names, "`"+e.Name+"`")
			seen[e.Name] = e.Help
		}
		require.Contains(t, string(text), "| `"+c.Tag()+"` | "+c.Title+" | "+strings.Join(names, ", ")+" | "+c.Checked+" |\n")
		require.Contains(t, string(text), "| "+c.Checked+" | ", "where it was checked")
	}
	for name, help := range seen {
		require.Contains(t, string(text), "| `"+name+"` | "+help+" |")
	}
}
