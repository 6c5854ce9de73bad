// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// marksJSON stores marks by the number of their version. Where a key has many, what is the same for several is stored once:
// by their numbers, such as "2,5-7". A release that does not know that refuses the record.
func marksJSON(marks map[int]lifecycle.Mark) map[string]markJSON {
	out := make(map[string]markJSON, len(marks))
	if len(marks) <= lifecycle.Alone {
		for v, m := range marks {
			out[strconv.Itoa(v)] = toMarkJSON(m)
		}
		return out
	}
	same := map[lifecycle.Mark][]int{}
	for v, m := range marks {
		same[m] = append(same[m], v)
	}
	for m, versions := range same {
		out[numbersText(versions)] = toMarkJSON(m)
	}
	return out
}

func toMarkJSON(m lifecycle.Mark) markJSON {
	return markJSON{
		State: m.State.String(), At: m.At, Until: optional(m.Until), Ended: optional(m.Ended), Locked: m.Locked, Stored: m.Stored, Lapsed: m.Lapsed, Before: beforeName(m.Before),
		Code: m.Compromise.Code, Occurred: optional(m.Compromise.Occurred), Reported: optional(m.Compromise.Reported),
	}
}

// numbersText writes numbers as runs.
func numbersText(numbers []int) string {
	slices.Sort(numbers)
	var out strings.Builder
	for i := 0; i < len(numbers); {
		last := i
		for last+1 < len(numbers) && numbers[last+1] == numbers[last]+1 {
			last++
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(strconv.Itoa(numbers[i]))
		if last > i {
			out.WriteString("-" + strconv.Itoa(numbers[last]))
		}
		i = last + 1
	}
	return out.String()
}

// numbersOf reads them back; ok is false for what is no such text, or names more than a key can have.
func numbersOf(text string, latest int) (numbers []int, ok bool) {
	for _, run := range strings.Split(text, ",") {
		first, last, isRun := strings.Cut(run, "-")
		from, err := strconv.Atoi(first)
		to := from
		if isRun && err == nil {
			to, err = strconv.Atoi(last)
		}
		if err != nil || from < 1 || to < from || to > latest || to-from > 2*lifecycle.Crowd-len(numbers) {
			return nil, false
		}
		for n := from; n <= to; n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers, true
}

// marksOf reads the marks back; a state that this release does not know must not be taken for none.
func marksOf(list map[string]markJSON, latest int) (map[int]lifecycle.Mark, error) {
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // a key without marks
	}
	marks := make(map[int]lifecycle.Mark, len(list))
	for text, m := range list {
		mark, ok := m.mark()
		versions, are := numbersOf(text, latest)
		if !ok || !are {
			return nil, ErrCorrupt
		}
		for _, v := range versions {
			marks[v] = mark
		}
	}
	return marks, nil
}

func (m markJSON) mark() (mark lifecycle.Mark, ok bool) {
	state, before := lifecycle.ParseState(m.State), lifecycle.ParseState(m.Before)
	return lifecycle.Mark{
		State: state, At: m.At, Until: timeOf(m.Until), Ended: timeOf(m.Ended), Locked: m.Locked, Stored: m.Stored, Lapsed: m.Lapsed, Before: before,
		Compromise: lifecycle.Compromise{Code: m.Code, Occurred: timeOf(m.Occurred), Reported: timeOf(m.Reported)},
	}, lifecycle.CanMark(state) && (m.Before == "" || before != lifecycle.NoState)
}

func beforeName(s lifecycle.State) string {
	if s == lifecycle.NoState {
		return ""
	}
	return s.String()
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
