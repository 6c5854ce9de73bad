// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package scheduletest holds a second reading of cron expressions, to hold the first one to: it looks at a clock on the wall
// once a minute. It shares no code with package schedule.
package scheduletest

import (
	"slices"
	"time"
)

// Cron is a cron expression written naively: five sets of numbers, and days of which only the month tells the date.
type Cron struct {
	Text string
	Sets [5]map[int]bool // minute, hour, day of month, month, day of week; nil: any

	LastDay     bool            // L as day of the month
	LastWorkday bool            // LW
	Workdays    map[int]bool    // 15W: the working day nearest to the day, in the same month
	Nth         map[[2]int]bool // SUN#1: {0, 1}
	LastOf      map[int]bool    // 5L: the last Friday
}

// Names reports whether the cron names the minute on the wall.
func (c Cron) Names(wall time.Time) bool {
	in := func(i, n int) bool { return c.Sets[i] == nil || c.Sets[i][n] }
	return in(0, wall.Minute()) && in(1, wall.Hour()) && in(3, int(wall.Month())) && c.namesDay(wall)
}

// namesDay holds that with a day of the month and a day of the week, either will do.
func (c Cron) namesDay(wall time.Time) bool {
	ofMonth := c.Sets[2] != nil || c.LastDay || c.LastWorkday || c.Workdays != nil
	ofWeek := c.Sets[4] != nil || c.Nth != nil || c.LastOf != nil
	return !ofMonth && !ofWeek || ofMonth && c.namesDayOfMonth(wall) || ofWeek && c.namesDayOfWeek(wall)
}

func (c Cron) namesDayOfMonth(wall time.Time) bool {
	tomorrow := wall.AddDate(0, 0, 1)
	if c.Sets[2][wall.Day()] || c.LastDay && tomorrow.Day() == 1 {
		return true
	}
	if !isWorkday(wall) {
		return false
	}
	lastWorkday := true
	for day := tomorrow; day.Month() == wall.Month(); day = day.AddDate(0, 0, 1) {
		lastWorkday = lastWorkday && !isWorkday(day)
	}
	if c.LastWorkday && lastWorkday {
		return true
	}
	for n := range c.Workdays {
		if nearestWorkday(wall, n) == wall.Day() {
			return true
		}
	}
	return false
}

func isWorkday(day time.Time) bool {
	return day.Weekday() != time.Saturday && day.Weekday() != time.Sunday
}

// nearestWorkday returns the working day of the month of a day that is nearest to its n-th; 0: there is no n-th. A Saturday
// and a Sunday are never equally far from two.
func nearestWorkday(of time.Time, n int) (nearest int) {
	best := 0
	for day := of.AddDate(0, 0, 1-of.Day()); day.Month() == of.Month(); day = day.AddDate(0, 0, 1) {
		far := max(day.Day()-n, n-day.Day())
		if isWorkday(day) && (nearest == 0 || far < best) {
			nearest, best = day.Day(), far
		}
		if day.AddDate(0, 0, 1).Day() == 1 && day.Day() < n {
			return 0
		}
	}
	return nearest
}

func (c Cron) namesDayOfWeek(wall time.Time) bool {
	day := int(wall.Weekday())
	nth := [2]int{day, (wall.Day() + 6) / 7}
	return c.Sets[4][day] || c.Nth[nth] || c.LastOf[day] && wall.AddDate(0, 0, 7).Month() != wall.Month()
}

// Walk is a clock on the wall that is looked at once a minute: it tells when each of the cron's times came. What the
// clock never showed comes later by what it skipped; what it showed twice came the first time.
func (c Cron) Walk(z *time.Location, from, to time.Time) []time.Time {
	var came []time.Time
	first := from.Add(-24 * time.Hour).Truncate(time.Minute)
	shown := func(at time.Time) time.Time {
		local := at.In(z)
		year, month, day := local.Date()
		hour, minute, _ := local.Clock()
		return time.Date(year, month, day, hour, minute, 0, 0, time.UTC)
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
