// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import "time"

// Recurrence is a grid of times, its slots: every so long, or by a cron schedule. The zero Recurrence has none.
type Recurrence struct {
	Every time.Duration
	Cron  Cron
}

// None reports a recurrence without times.
func (r Recurrence) None() bool { return r.Every == 0 && r.Cron.IsZero() }

// After returns the slot that follows since; zero: there is none.
func (r Recurrence) After(since time.Time) time.Time {
	if !r.Cron.IsZero() {
		return r.Cron.Next(since)
	}
	return since.Add(r.Every)
}

// Last returns the latest slot not after now; at least the one that follows since, so that a slot is used once.
func (r Recurrence) Last(since, now time.Time) time.Time {
	if !r.Cron.IsZero() {
		return laterOf(r.Cron.Last(since, now), r.Cron.Next(since))
	}
	slots := max(now.Sub(since)/r.Every, 1)
	return since.Add(slots * r.Every)
}

// Gap returns the time from a slot to the one that follows, of which a jitter may be a percentage.
func (r Recurrence) Gap(slot time.Time) time.Duration {
	if !r.Cron.IsZero() {
		return max(r.Cron.Next(slot).Sub(slot), 0)
	}
	return r.Every
}
