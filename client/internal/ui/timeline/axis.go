// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package timeline

import "time"

// step is how far apart dates of the axis may be, from which they start, and how they are written.
type step struct {
	next   func(time.Time) time.Time
	floor  func(time.Time) time.Time
	layout string
}

func hours(n int) step {
	d := time.Duration(n) * time.Hour
	return step{func(t time.Time) time.Time { return t.Add(d) }, func(t time.Time) time.Time { return t.Truncate(d) }, "02 Jan 15:04"}
}

func days(n int) step {
	return step{func(t time.Time) time.Time { return t.AddDate(0, 0, n) }, dayOf, "02 Jan"}
}

func months(n int) step {
	return step{func(t time.Time) time.Time { return t.AddDate(0, n, 0) }, monthOf, "Jan 2006"}
}

func dayOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

func monthOf(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC) }

var steps = []step{hours(1), hours(6), hours(12), days(1), days(2), days(7), days(14), months(1), months(2), months(3), months(6), months(12), months(24), months(60), months(120)}

// ticks are dates of the finest step that leaves room between them.
func (s scale) ticks() (ticks []Tick) {
	for _, step := range steps {
		at := step.floor(s.begin.UTC())
		next := step.next(at)
		if length := float64(next.Sub(at)) / float64(s.end.Sub(s.begin)) * (right - gutter); length < closest {
			continue
		}
		for ; !at.After(s.end); at = step.next(at) {
			if x := s.x(at); !at.Before(s.begin) && x <= right-closest/2 {
				ticks = append(ticks, Tick{X: x, Text: at.Format(step.layout)})
			}
		}
		return ticks
	}
	return nil
}
