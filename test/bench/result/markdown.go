// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package result

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Markdown renders sections one after another, with headings of the second level. Where it was measured is said below
// the first section, and again where that changes.
func Markdown(sections ...Section) string {
	var parts []string
	last := Machine{}
	for _, s := range sections {
		parts = append(parts, s.markdown())
		if s.Machine != last {
			parts = append(parts, s.Machine.String())
		}
		last = s.Machine
	}
	return strings.Join(parts, "\n\n")
}

func (s Section) markdown() string {
	parts := []string{"## " + s.Title}
	if s.Intro != "" {
		parts = append(parts, strings.TrimSpace(s.Intro))
	}
	if s.Figure != nil {
		parts = append(parts, fmt.Sprintf("![%s](%s)", s.Figure.Alt, s.Figure.File))
	}
	parts = append(parts, s.table())
	var outcomes []string
	for _, o := range s.Outcomes() {
		outcomes = append(outcomes, fmt.Sprintf("- %s: %s.", o.What, o.Told))
	}
	if len(outcomes) > 0 {
		parts = append(parts, strings.Join(outcomes, "\n"))
	}
	return strings.Join(parts, "\n\n")
}

// table has a column for each name of one more figure, and of what stands beside the rows.
func (s Section) table() string {
	column := s.Column
	if column == "" {
		column = "measured"
	}
	also, beside := s.names()
	head := append([]string{"", column}, also...)
	for _, name := range beside {
		head = append(head, "beside "+name)
	}
	lines := []string{line(head), "|" + strings.Repeat("---|", len(head))}
	for _, row := range s.Rows {
		cells := []string{row.What, Quantity(row.Value, row.Unit)}
		for _, name := range also {
			cells = append(cells, row.also(name))
		}
		for _, name := range beside {
			cells = append(cells, row.beside(name))
		}
		lines = append(lines, line(cells))
	}
	return strings.Join(lines, "\n")
}

func line(cells []string) string {
	text := "|"
	for _, cell := range cells {
		text += " " + cell + " |"
	}
	return strings.Replace(text, "|  |", "| |", 1)
}

// none is a cell for what was not measured.
const none = "–"

// names are those of the columns, in the order in which they come.
func (s Section) names() (also, beside []string) {
	for _, row := range s.Rows {
		for _, a := range row.Also {
			also = with(also, a.Name)
		}
		for _, b := range row.Beside {
			beside = with(beside, b.Name)
		}
	}
	return also, beside
}

func with(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

func (r Row) also(name string) string {
	at := slices.IndexFunc(r.Also, func(a Also) bool { return a.Name == name })
	if at < 0 {
		return none
	}
	return Quantity(r.Also[at].Value, r.Also[at].Unit)
}

func (r Row) beside(name string) string {
	at := slices.IndexFunc(r.Beside, func(b Beside) bool { return b.Name == name })
	if at < 0 {
		return none
	}
	b := r.Beside[at]
	text := fmt.Sprintf("**%s ×**", Digits(b.Ratio))
	if b.Low != 0 || b.High != 0 {
		text += fmt.Sprintf(" (%s–%s)", Digits(b.Low), Digits(b.High))
	}
	return text + " of " + Quantity(b.Value, r.Unit)
}

// Outcome is a target and what became of it.
type Outcome struct {
	What string // the figure
	Told string // what was measured, what was wanted, and by how much it was missed
	Met  bool
}

// Outcomes are those of the targets of a section.
func (s Section) Outcomes() (all []Outcome) {
	for _, row := range s.Rows {
		if t := row.Target; t != nil {
			all = append(all, Outcome{row.What, t.told(row.Value, row.Unit), t.Met(row.Value)})
		}
		for _, b := range row.Beside {
			if t := b.Target; t != nil {
				all = append(all, Outcome{row.What + ", beside " + b.Name, t.told(b.Ratio, "×"), t.Met(b.Ratio)})
			}
		}
	}
	return all
}

func (t Target) told(figure float64, unit string) string {
	bound, word := t.AtLeast, "at least"
	if t.AtMost != 0 {
		bound, word = t.AtMost, "at most"
	}
	text := fmt.Sprintf("%s, wanted %s %s: ", Quantity(figure, unit), word, Quantity(bound, unit))
	if t.Met(figure) {
		return text + "met"
	}
	return text + fmt.Sprintf("**missed** by %.0f %%", math.Max(1, 100*math.Abs(figure/bound-1)))
}

// Quantity is a figure with its unit. Of a rate the unit begins with a slash, and follows the figure at once.
func Quantity(figure float64, unit string) string {
	switch {
	case unit == "":
		return Digits(figure)
	case strings.HasPrefix(unit, "/"):
		return Digits(figure) + unit
	default:
		return Digits(figure) + " " + unit
	}
}

// Digits tells the three that count, and whole numbers with commas from 100.
func Digits(figure float64) string {
	if math.Abs(figure) < 99.95 {
		return strconv.FormatFloat(figure, 'g', 3, 64)
	}
	text := strconv.FormatFloat(math.Abs(figure), 'f', 0, 64)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	if figure < 0 {
		return "-" + text
	}
	return text
}
