// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import "time"

// Window is open for a length of time from every time of a cron schedule, but for a blackout. The zero Window is always open.
type Window struct {
	Opens    Cron // zero: it is open but for the blackout
	Length   time.Duration
	Blackout Blackout
}

// Stretch is a time for which a window is open.
type Stretch struct {
	From  time.Time // zero: it was always open
	To    time.Time // zero: it stays open
	After time.Time // the end of a blackout that was waited for; zero: none was
}

// IsZero reports a window that is always open.
func (w Window) IsZero() bool { return w.Opens.IsZero() && w.Blackout.IsZero() }

// From returns when the window is open first, not before at.
func (w Window) From(at time.Time) time.Time { return laterOf(at, w.At(at).From) }

// At returns the stretch that is open at the time, or the next one. A window that only ever opens in its blackout is open at
// some time far off.
func (w Window) At(at time.Time) Stretch {
	const most = 1000
	var waited time.Time
	for range most {
		open := w.opening(at)
		start := laterOf(at, open.From)
		end := w.Blackout.End(start)
		if end.IsZero() {
			return w.cut(open, start, waited)
		}
		at, waited = end, end
	}
	return Stretch{From: at, After: waited}
}

// Spread is by how much what waited for the stretch is put off inside it: in its first half, at most by so much.
func (s Stretch) Spread(most time.Duration) time.Duration {
	if s.To.IsZero() {
		return most
	}
	return min(most, s.To.Sub(s.From)/2)
}

// opening returns the stretch without regard to the blackout.
func (w Window) opening(at time.Time) Stretch {
	if w.Opens.IsZero() {
		return Stretch{}
	}
	open := w.Opens.Next(at.Add(-w.Length))
	if open.IsZero() {
		return Stretch{} // with the century the timetable ends
	}
	return Stretch{From: open, To: open.Add(w.Length)}
}

// cut returns what the blackouts before and after a time leave of a stretch.
func (w Window) cut(open Stretch, at, waited time.Time) Stretch {
	open.After = waited
	for _, dark := range w.Blackout.stretches(at, 1) {
		if !dark.To.After(at) && dark.To.After(open.From) {
			open.From = dark.To
		}
		if dark.From.After(at) && (open.To.IsZero() || dark.From.Before(open.To)) {
			open.To = dark.From
		}
	}
	return open
}

// Closed returns the longest time for which the window is closed, as far as can be told from a time on.
func (w Window) Closed(from time.Time) (longest time.Duration) {
	if !w.Opens.IsZero() {
		_, apart := w.Opens.Gaps(from)
		longest = max(apart-w.Length, 0)
	}
	const years = 5
	closed := longest // before a blackout begins
	for _, dark := range w.Blackout.stretches(from, years) {
		if !dark.To.After(from) {
			continue
		}
		longest = max(longest, closed+w.From(dark.From).Sub(dark.From))
	}
	return longest
}
