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

// overridesJSON stores overrides by the number of their version. Where a key has many, what is the same for several is stored once:
// by their numbers, such as "2,5-7". A release that does not know that refuses the record.
func overridesJSON(overrides map[int]lifecycle.StateOverride) map[string]overrideJSON {
	out := make(map[string]overrideJSON, len(overrides))
	if len(overrides) <= lifecycle.Alone {
		for v, m := range overrides {
			out[strconv.Itoa(v)] = toOverrideJSON(m)
		}
		return out
	}
	same := map[lifecycle.StateOverride][]int{}
	for v, m := range overrides {
		same[m] = append(same[m], v)
	}
	for m, versions := range same {
		out[numbersText(versions)] = toOverrideJSON(m)
	}
	return out
}

func toOverrideJSON(m lifecycle.StateOverride) overrideJSON {
	return overrideJSON{
		State: m.State.String(), At: m.At, Until: optional(m.Until()), Ended: optional(m.Ended), Locked: m.Locked, Stored: m.Stored, Lapsed: m.Lapsed, Before: beforeName(m.Before),
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

// overridesOf reads the overrides back; a state that this release does not know must not be taken for none.
func overridesOf(list map[string]overrideJSON, latest int) (map[int]lifecycle.StateOverride, error) {
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // a key without overrides
	}
	overrides := make(map[int]lifecycle.StateOverride, len(list))
	for text, m := range list {
		override, ok := m.override()
		versions, are := numbersOf(text, latest)
		if !ok || !are {
			return nil, ErrCorrupt
		}
		for _, v := range versions {
			overrides[v] = override
		}
	}
	return overrides, nil
}

func (m overrideJSON) override() (override lifecycle.StateOverride, ok bool) {
	state, before := lifecycle.ParseState(m.State), lifecycle.ParseState(m.Before)
	return lifecycle.StateOverride{
		State: state, At: m.At, Ended: timeOf(m.Ended), Locked: m.Locked, Stored: m.Stored, Lapsed: m.Lapsed, Before: before,
		Compromise: lifecycle.Compromise{Code: m.Code, Occurred: timeOf(m.Occurred), Reported: timeOf(m.Reported)},
	}.WithUntil(timeOf(m.Until)), lifecycle.CanOverride(state) && (m.Before == "" || before != lifecycle.NoState)
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
