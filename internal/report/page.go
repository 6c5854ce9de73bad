// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const format = 1

// Page is what is signed: a page of a report, or a whole one that [Join] made of its pages. Its JSON:
//
//	{"format":1,"instance":"8f14…","tag":"pci-dss-4.0.1","from":"2025-03-01T00:00:00Z","to":"2026-03-01T00:00:00Z",
//	 "time":"2026-03-01T12:00:00Z","after":"","next":"orders","policies":[…],"keys":["cards","orders"],"controls":[…]}
type Page struct {
	Format   int       `json:"format"`
	Instance string    `json:"instance"` // the mount
	Tag      string    `json:"tag"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Time     time.Time `json:"time"`  // when it was made; of a whole report, its last page
	After    string    `json:"after"` // the key that the page begins behind
	Next     string    `json:"next"`  // what the next page begins behind; empty: this is the last one

	Policies []PolicyLine `json:"policies"`
	Keys     []string     `json:"keys"`              // that were looked at
	Deleted  []string     `json:"deleted,omitempty"` // of keys that are not there any more: their custody records were looked at
	Controls []Shown      `json:"controls"`
}

// PolicyLine says under which policy keys are, and what it says it is for.
type PolicyLine struct {
	Name        string   `json:"name"`
	Revision    int      `json:"revision"`
	Hash        string   `json:"hash"`
	Compliance  []string `json:"compliance"`
	Owner       string   `json:"owner,omitempty"`
	Description string   `json:"description,omitempty"`
}

// Shown is a control with what is shown for it.
type Shown struct {
	Tag      string     `json:"tag"`
	Title    string     `json:"title"`
	Verdict  Verdict    `json:"verdict"`
	Evidence []Evidence `json:"evidence"`
}

// Assess returns a page of what the facts show for the controls that the tag names. Head has the rest of the page.
func Assess(head Page, f Facts) Page {
	p := head
	p.Format, p.From, p.To = format, f.From.UTC(), f.To.UTC()
	p.Policies, p.Keys, p.Controls = []PolicyLine{}, []string{}, []Shown{}
	for _, one := range f.Policies {
		p.Policies = append(p.Policies, PolicyLine{one.Name, one.Revision, one.Hash, one.Compliance, one.Owner, one.Description})
	}
	for i := range f.Keys {
		p.Keys = append(p.Keys, f.Keys[i].Name)
	}
	for i := range f.Deleted {
		p.Deleted = append(p.Deleted, f.Deleted[i].Name)
	}
	for _, c := range Below(p.Tag) {
		one := Shown{Tag: c.Tag(), Title: c.Title}
		for _, source := range c.Evidence {
			one.Evidence = append(one.Evidence, source.of(f)...)
		}
		one.Evidence = sorted(one.Evidence)
		one.Verdict = verdictOf(one.Evidence, len(f.Keys)+len(f.Deleted))
		p.Controls = append(p.Controls, one)
	}
	return p
}

// Encode returns the text that is signed.
func (p Page) Encode() ([]byte, error) {
	var text bytes.Buffer
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false)
	err := to.Encode(p)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

// ErrPage reports pages that are not those of one report.
var ErrPage = errors.New("not a report")

// Decode reads what [Page.Encode] wrote. The error matches [ErrPage].
func Decode(text []byte) (p Page, err error) {
	if err := json.Unmarshal(text, &p); err != nil {
		return Page{}, fmt.Errorf("%w: %w", ErrPage, err)
	}
	if p.Format != format {
		return Page{}, fmt.Errorf("%w: format %d, this release reads %d", ErrPage, p.Format, format)
	}
	return p, nil
}

// Join makes one report of all of its pages, in their order. The error matches [ErrPage].
func Join(pages []Page) (Page, error) {
	if len(pages) == 0 {
		return Page{}, fmt.Errorf("%w: there is no page", ErrPage)
	}
	whole, after := pages[0], ""
	whole.Keys, whole.Deleted = slices.Clone(whole.Keys), slices.Clone(whole.Deleted)
	for i, p := range pages {
		if wrong := p.misplaced(whole, after, i == len(pages)-1); wrong != "" {
			return Page{}, fmt.Errorf("%w: page %d %s", ErrPage, i+1, wrong)
		}
		if after = p.Next; i > 0 {
			whole.add(p)
		}
	}
	if after != "" {
		return Page{}, fmt.Errorf("%w: the page behind %q is missing", ErrPage, after)
	}
	whole.Next = ""
	for i := range whole.Controls {
		c := &whole.Controls[i]
		c.Verdict = verdictOf(c.Evidence, len(whole.Keys)+len(whole.Deleted))
	}
	return whole, nil
}

// misplaced says why a page is not the one behind after; empty: it is.
func (p Page) misplaced(first Page, after string, last bool) string {
	switch {
	case p.Instance != first.Instance || p.Tag != first.Tag || !p.From.Equal(first.From) || !p.To.Equal(first.To):
		return "is of another mount, tag or period"
	case p.After != after:
		return fmt.Sprintf("begins behind %q, and the one before ends with %q", p.After, after)
	case !last && p.Next == "":
		return "says that it is the last one"
	}
	return ""
}

// add takes another page in.
func (p *Page) add(o Page) {
	p.Time = o.Time
	p.Keys, p.Deleted = append(p.Keys, o.Keys...), append(p.Deleted, o.Deleted...)
	for _, line := range o.Policies {
		if !slices.ContainsFunc(p.Policies, line.equal) {
			p.Policies = append(p.Policies, line)
		}
	}
	controls := slices.Clone(p.Controls)
	for _, c := range o.Controls {
		i := slices.IndexFunc(controls, func(one Shown) bool { return one.Tag == c.Tag })
		if i < 0 {
			controls = append(controls, c)
			continue
		}
		controls[i].Evidence = sorted(slices.Concat(controls[i].Evidence, c.Evidence))
	}
	p.Controls = controls
}

func (l PolicyLine) equal(o PolicyLine) bool {
	return l.Name == o.Name && l.Revision == o.Revision && l.Hash == o.Hash
}

// CheckTag says what is wrong with a tag of which there is no control; empty: there is one.
func CheckTag(tag string) string {
	if len(Below(tag)) > 0 {
		return ""
	}
	known := make([]string, len(Standards))
	for i, s := range Standards {
		known[i] = s.Tag
	}
	return "must be a standard or a control of docs/compliance.md; standards are " + strings.Join(known, ", ")
}
