// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import "time"

// Window is open for a length of time from every time of a cron schedule. The zero Window is always open.
type Window struct {
	Opens  Cron
	Length time.Duration
}

// From returns when the window is open first, not before at.
func (w Window) From(at time.Time) time.Time { return laterOf(at, w.Opening(at)) }

// Opening returns when the window opened that is open at the time, or when it opens next; zero: it is always open.
func (w Window) Opening(at time.Time) time.Time {
	if w.Opens.IsZero() {
		return time.Time{}
	}
	return w.Opens.Next(at.Add(-w.Length))
}
