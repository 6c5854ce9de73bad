// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package result is what a benchmark found, on its way to docs/performance.md: a program that measures writes a [Section] as
// JSON, and the page renders all sections that it is given. It measures nothing itself.
//
// A section about one figure, measured in rounds beside another:
//
//	rounds, others := []float64{…}, []float64{…} // of the same rounds, in one unit
//	section := result.Section{
//		Title: "Rotation", Intro: "A key with its floor raised is rotated.",
//		Rows: []result.Row{{
//			What: "rotate at version 10,000", Value: result.Median(rounds), Unit: "ms",
//			Beside: []result.Beside{result.Compare("at version 10", rounds, others).AtMost(1.2)},
//		}},
//	}
//	err := section.Write("rotation.json")
package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Section is a part of the page: a table, and what became of its targets.
//
//	{"title": "…", "intro": "…", "rows": [{"what": "encrypt", "value": 2100, "unit": "/s",
//	  "beside": [{"name": "the no-op plugin", "value": 1500, "ratio": 1.4, "low": 1.37, "high": 1.42, "target": {"at_least": 1.3}}]}],
//	 "machine": {…}}
type Section struct {
	Title   string  `json:"title"`
	Intro   string  `json:"intro,omitempty"`  // Markdown: what was measured, and how
	Column  string  `json:"column,omitempty"` // the head of the column of values; "measured" when empty
	Rows    []Row   `json:"rows"`
	Figure  *Figure `json:"figure,omitempty"`
	Machine Machine `json:"machine"`
}

// Row is a line of the table: one figure, and others beside it.
type Row struct {
	What   string   `json:"what"`
	Value  float64  `json:"value"` // of several rounds, their median
	Unit   string   `json:"unit,omitempty"`
	Also   []Also   `json:"also,omitempty"`
	Beside []Beside `json:"beside,omitempty"`
	Target *Target  `json:"target,omitempty"` // of the value
}

// Also is one more figure of a row, in a column of its name.
type Also struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// Beside is what a row's value is compared with, in the row's unit. Besides of the same name share a column of the section's table.
type Beside struct {
	Name   string  `json:"name"` // as in "1.4 × the no-op plugin"
	Value  float64 `json:"value"`
	Ratio  float64 `json:"ratio"` // the row's value to this one: of several rounds, the median of the ratios of each
	Low    float64 `json:"low"`   // lower and upper quartile of the ratios of each round; both 0 where there was one round
	High   float64 `json:"high"`
	Target *Target `json:"target,omitempty"` // of the ratio
}

// Target is what is wanted of a figure. One of the two is set.
type Target struct {
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
}

// Figure is an SVG file that the section shows, as a path from the page.
type Figure struct {
	File string `json:"file"`
	Alt  string `json:"alt"` // what it shows, for who does not see it
}

// AtLeast and AtMost return b with a target for its ratio.
func (b Beside) AtLeast(bound float64) Beside { b.Target = &Target{AtLeast: bound}; return b }

// AtMost is like AtLeast.
func (b Beside) AtMost(bound float64) Beside { b.Target = &Target{AtMost: bound}; return b }

// Met tells whether a figure is what was wanted.
func (t Target) Met(figure float64) bool {
	if t.AtMost != 0 {
		return figure <= t.AtMost
	}
	return figure >= t.AtLeast
}

// Write puts the section into a file. A section without a machine is one of this machine, measured today.
func (s Section) Write(path string) error {
	if s.Machine == (Machine{}) {
		s.Machine = ThisMachine()
	}
	if err := s.check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("section %q: %w", s.Title, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// Load reads sections, in the order of the files.
func Load(files ...string) ([]Section, error) {
	sections := make([]Section, 0, len(files))
	for _, path := range files {
		s, err := load(path)
		if err != nil {
			return nil, fmt.Errorf("section in %s: %w", path, err)
		}
		sections = append(sections, s)
	}
	return sections, nil
}

func load(path string) (s Section, err error) {
	in, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer in.Close()
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, err
	}
	return s, s.check()
}

// check refuses what a page cannot tell.
func (s Section) check() error {
	if s.Title == "" || len(s.Rows) == 0 {
		return errors.New("a section needs a title and rows")
	}
	for _, row := range s.Rows {
		if row.What == "" {
			return fmt.Errorf("section %q: a row does not say what it is of", s.Title)
		}
		if slices.ContainsFunc(row.Also, func(a Also) bool { return a.Name == "" }) {
			return fmt.Errorf("section %q, %s: one more figure has no name", s.Title, row.What)
		}
		targets := []*Target{row.Target}
		for _, b := range row.Beside {
			if b.Name == "" {
				return fmt.Errorf("section %q, %s: what is beside it has no name", s.Title, row.What)
			}
			targets = append(targets, b.Target)
		}
		for _, t := range targets {
			if t != nil && (t.AtLeast == 0) == (t.AtMost == 0) {
				return fmt.Errorf("section %q, %s: a target is at_least or at_most", s.Title, row.What)
			}
		}
	}
	return nil
}
