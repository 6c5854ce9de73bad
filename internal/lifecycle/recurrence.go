// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "time"

// recurrence is the grid of times at which a key rotates: every so long, or by a cron schedule. The zero recurrence has none.
type recurrence struct {
	every time.Duration
	table CronSchedule
}

func (c recurrence) none() bool { return c.every == 0 && c.table.IsZero() }

// after returns the slot that follows since; zero: there is none.
func (c recurrence) after(since time.Time) time.Time {
	if !c.table.IsZero() {
		return c.table.Next(since)
	}
	return since.Add(c.every)
}

// last returns the latest slot not after now; at least the one that follows since, so that a slot is used once.
func (c recurrence) last(since, now time.Time) time.Time {
	if !c.table.IsZero() {
		return laterOf(c.table.Last(since, now), c.table.Next(since))
	}
	slots := max(now.Sub(since)/c.every, 1)
	return since.Add(slots * c.every)
}

// gap returns the time from a slot to the one that follows, of which a jitter may be a percentage.
func (c recurrence) gap(slot time.Time) time.Duration {
	if !c.table.IsZero() {
		return max(c.table.Next(slot).Sub(slot), 0)
	}
	return c.every
}
