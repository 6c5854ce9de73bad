// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import (
	_ "embed"
	"fmt"
	htmltemplate "html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"text/template"
	"unicode"
)

//go:embed report.md.tmpl
var markdownText string

//go:embed report.html.tmpl
var htmlText string

var (
	markdown = template.Must(template.New("report.md").Funcs(template.FuncMap{
		"text": plain, "stamp": stamp, "fields": fieldsText, "records": recordsText, "count": tally, "standard": standardOf,
	}).Parse(markdownText))
	html = htmltemplate.Must(htmltemplate.New("report.html").Funcs(htmltemplate.FuncMap{
		"stamp": stamp, "fields": fieldsText, "records": recordsText, "count": tally, "standard": standardOf,
	}).Parse(htmlText))
)

// Whole is a report to be written: all pages joined, and what is known of their signatures.
type Whole struct {
	Page
	Pages   int
	Signers []string // ids of the public keys that signed the pages
	Trust   string   // why these are trusted, in a sentence
}

// Markdown writes the report. What people wrote is text, whatever it is made of.
func Markdown(to io.Writer, w Whole) error { return markdown.Execute(to, w) }

// HTML writes the report as a page that loads nothing.
func HTML(to io.Writer, w Whole) error { return html.Execute(to, w) }

// plain makes a text one that Markdown shows as it is, inside a cell of a table: a backslash or an entity takes the meaning from what
// has one there (CommonMark 0.31.2, sections 2.4 and 2.5; of GitHub's, tables and addresses that become links, too). A line break, or
// what turns or hides text, becomes a space.
func plain(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == '<' || r == '>' || r == '&':
			fmt.Fprintf(&out, "&#%d;", r)
		case strings.ContainsRune("\\`*_[]|~$:@", r), r == '.' && strings.HasSuffix(strings.ToLower(out.String()), "www"):
			out.WriteByte('\\')
			out.WriteRune(r)
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			out.WriteByte(' ')
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// fieldsText writes fields in the order of their names.
func fieldsText(fields map[string]string) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != "" {
			texts = append(texts, name+": "+fields[name])
		}
	}
	return strings.Join(texts, "; ")
}

// recordsText writes the names of custody records as custody/export does.
func recordsText(records []Record) string {
	texts := make([]string, len(records))
	for i, r := range records {
		texts[i] = fmt.Sprintf("%s/%d", r.Chain, r.Seq)
	}
	return strings.Join(texts, ", ")
}

// tally counts the controls of a verdict.
func tally(controls []Shown, of Verdict) (n int) {
	for _, c := range controls {
		if c.Verdict == of {
			n++
		}
	}
	return n
}

// standardOf names the standard that a tag is of.
func standardOf(tag string) string {
	name, _, _ := strings.Cut(tag, "/")
	for _, s := range Standards {
		if s.Tag == name {
			return s.Name + ", " + s.Edition
		}
	}
	return name
}
