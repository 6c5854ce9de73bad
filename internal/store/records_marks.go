// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

func marksJSON(marks map[int]lifecycle.Mark) map[int]markJSON {
	out := make(map[int]markJSON, len(marks))
	for v, m := range marks {
		out[v] = markJSON{
			State: m.State.String(), At: m.At, Until: optional(m.Until), Ended: optional(m.Ended), Locked: m.Locked, Lapsed: m.Lapsed, Before: beforeName(m.Before),
			Code: m.Compromise.Code, Occurred: optional(m.Compromise.Occurred), Reported: optional(m.Compromise.Reported),
		}
	}
	return out
}

// marksOf reads the marks back; a state that this release does not know must not be taken for none.
func marksOf(list map[int]markJSON, latest int) (map[int]lifecycle.Mark, error) {
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // a key without marks
	}
	marks := make(map[int]lifecycle.Mark, len(list))
	for v, m := range list {
		state, before := lifecycle.ParseState(m.State), lifecycle.ParseState(m.Before)
		if !lifecycle.CanMark(state) || v < 1 || v > latest || (m.Before != "" && before == lifecycle.NoState) {
			return nil, ErrCorrupt
		}
		marks[v] = lifecycle.Mark{
			State: state, At: m.At, Until: timeOf(m.Until), Ended: timeOf(m.Ended), Locked: m.Locked, Lapsed: m.Lapsed, Before: before,
			Compromise: lifecycle.Compromise{Code: m.Code, Occurred: timeOf(m.Occurred), Reported: timeOf(m.Reported)},
		}
	}
	return marks, nil
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
