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
	if told := s.Targets(); len(told) > 0 {
		parts = append(parts, "- "+strings.Join(told, "\n- "))
	}
	return strings.Join(parts, "\n\n")
}

// table has a column for each name that stands beside the rows.
func (s Section) table() string {
	column := s.Column
	if column == "" {
		column = "measured"
	}
	names := s.Names()
	head := []string{"", column}
	for _, name := range names {
		head = append(head, "beside "+name)
	}
	lines := []string{line(head), "|" + strings.Repeat("---|", len(head))}
	for _, row := range s.Rows {
		cells := []string{row.What, Quantity(row.Value, row.Unit)}
		for _, name := range names {
			cells = append(cells, row.cell(name))
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

// Names are what stands beside the rows, in the order in which it comes.
func (s Section) Names() (names []string) {
	for _, row := range s.Rows {
		for _, b := range row.Beside {
			if !slices.Contains(names, b.Name) {
				names = append(names, b.Name)
			}
		}
	}
	return names
}

func (r Row) cell(name string) string {
	at := slices.IndexFunc(r.Beside, func(b Beside) bool { return b.Name == name })
	if at < 0 {
		return "–"
	}
	b := r.Beside[at]
	text := fmt.Sprintf("**%s ×**", Digits(b.Ratio))
	if b.Low != 0 || b.High != 0 {
		text += fmt.Sprintf(" (%s–%s)", Digits(b.Low), Digits(b.High))
	}
	return text + " of " + Quantity(b.Value, r.Unit)
}

// Targets says of each target whether it was met, by how much.
func (s Section) Targets() (told []string) {
	for _, row := range s.Rows {
		if row.Target != nil {
			told = append(told, fmt.Sprintf("%s: %s", row.What, row.Target.told(row.Value, row.Unit)))
		}
		for _, b := range row.Beside {
			if b.Target != nil {
				told = append(told, fmt.Sprintf("%s beside %s: %s", row.What, b.Name, b.Target.told(b.Ratio, "×")))
			}
		}
	}
	return told
}

func (t Target) told(figure float64, unit string) string {
	bound, word := t.AtLeast, "at least"
	if t.AtMost != 0 {
		bound, word = t.AtMost, "at most"
	}
	text := fmt.Sprintf("%s, wanted %s %s: ", Quantity(figure, unit), word, Quantity(bound, unit))
	if t.Met(figure) {
		return text + "met."
	}
	return text + fmt.Sprintf("**missed** by %.0f %%.", math.Max(1, 100*math.Abs(figure/bound-1)))
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
