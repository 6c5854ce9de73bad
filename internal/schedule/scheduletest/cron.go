// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package scheduletest holds a second reading of cron expressions, to hold the first one to: it looks at a clock on the wall
// once a minute. It shares no code with package schedule.
package scheduletest

import (
	"slices"
	"time"
)

// Cron is a cron expression written naively: five sets of numbers.
type Cron struct {
	Text string
	Sets [5]map[int]bool // minute, hour, day of month, month, day of week; nil: any
}

// Names reports whether the cron names the minute on the wall.
func (c Cron) Names(wall time.Time) bool {
	in := func(i, n int) bool { return c.Sets[i] == nil || c.Sets[i][n] }
	byDate := in(2, wall.Day()) && in(4, int(wall.Weekday()))
	if c.Sets[2] != nil && c.Sets[4] != nil {
		byDate = in(2, wall.Day()) || in(4, int(wall.Weekday()))
	}
	return in(0, wall.Minute()) && in(1, wall.Hour()) && in(3, int(wall.Month())) && byDate
}

// Walk is a clock on the wall that is looked at once a minute: it tells when each of the cron's times came. What the
// clock never showed comes later by what it skipped; what it showed twice came the first time.
func (c Cron) Walk(z *time.Location, from, to time.Time) []time.Time {
	var came []time.Time
	first := from.Add(-24 * time.Hour).Truncate(time.Minute)
	shown := func(at time.Time) time.Time {
		at = at.In(z)
		return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), 0, 0, time.UTC)
	}
	latest := shown(first) // on the wall
	for at := first; !at.After(to); at = at.Add(time.Minute) {
		now := shown(at)
		skipped := now.Sub(latest)
		for w := latest.Add(time.Minute); w.Before(now); w = w.Add(time.Minute) {
			if c.Names(w) {
				came = append(came, at.Add(skipped-time.Minute-now.Sub(w)))
			}
		}
		if now.After(latest) {
			latest = now
			if c.Names(now) {
				came = append(came, at)
			}
		}
	}
	slices.SortFunc(came, time.Time.Compare)
	came = slices.CompactFunc(came, time.Time.Equal)
	return slices.DeleteFunc(came, func(at time.Time) bool { return !at.After(from) || at.After(to) })
}
