// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import (
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/cronexpr"
)

// Cron is a cron expression of five fields (minute, hour, day of month, month, day of week) in a time zone. The
// zero Cron has no times. It is immutable.
type Cron struct {
	expr   *cronexpr.Expression
	zone   *time.Location
	varies bool // it names days of which only the month tells the date, so that one year is not like another
}

// ParseCron reads a cron expression. The error is the rule that the text breaks.
func ParseCron(text string, zone *time.Location) (Cron, error) {
	const rule = `must be a cron expression of five fields: minute, hour, day of month, month, day of week, such as "0 3 1 * *"`
	const longest = 256
	parts := strings.Fields(text)
	if len(parts) != 5 || len(text) > longest {
		return Cron{}, errors.New(rule)
	}
	varies := false
	for i, part := range parts {
		varies = varies || hasDayInMonth(i, part)
		plain, wrong := cronField(i, part)
		if wrong != "" {
			return Cron{}, errors.New(rule + "; " + wrong)
		}
		parts[i] = plain
	}
	expr, err := cronexpr.Parse(strings.Join(parts, " "))
	if err != nil {
		return Cron{}, errors.New(rule + "; " + err.Error())
	}
	if expr.Next(cronEpoch).IsZero() {
		return Cron{}, errors.New("names a date that never comes")
	}
	return Cron{expr, zone, varies}, nil
}

// IsZero reports a cron schedule without times.
func (t Cron) IsZero() bool { return t.expr == nil }

// mostShift is more than any daylight-saving time turns a clock.
const mostShift = 3 * time.Hour

// Next returns the first time of the cron schedule after the given one; zero: there is none in this century. Every time on
// the wall clock comes exactly once: in the hour that is skipped when clocks go forward, later by what they skip; in the
// hour that comes twice, the first time.
func (t Cron) Next(after time.Time) time.Time {
	wall := wallClock(after.In(t.zone))
	if turned(after.In(t.zone)) {
		wall = wall.Add(-mostShift) // a time that was skipped may be yet to come
	}
	var first time.Time
	for {
		if wall = t.onWall(wall); wall.IsZero() {
			return first
		}
		at, skipped := instant(wall, t.zone)
		if at.After(after) && (first.IsZero() || at.Before(first)) {
			first = at
		}
		if at.After(after) && !skipped { // what was skipped comes among times that follow it on the wall
			return first
		}
	}
}

// onWall returns the first time of the expression after a time on the wall. The library notes in the expression where it
// is, so each call has a copy: timetables are shared between requests.
func (t Cron) onWall(after time.Time) time.Time {
	expr := *t.expr
	return expr.Next(after)
}

// turned reports whether the clock on the wall was turned shortly before.
func turned(at time.Time) bool {
	_, now := at.Zone()
	_, before := at.Add(-mostShift).Zone()
	return now != before
}

// wallClock returns what a clock on the wall shows, as if it were UTC, where arithmetic has no holes.
func wallClock(at time.Time) time.Time {
	_, east := at.Zone()
	return at.UTC().Truncate(time.Second).Add(time.Duration(east) * time.Second)
}

// instant returns when the clock on the wall shows the time, or would show it had it not been put forward shortly before.
// Package time answers differently east and west of Greenwich where there are two answers or none.
func instant(wall time.Time, zone *time.Location) (at time.Time, skipped bool) {
	at = time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, zone)
	_, before := at.Add(-mostShift).Zone()
	unturned := wall.Add(-time.Duration(before) * time.Second)
	skipped = !wallClock(at).Equal(wall)
	if skipped || wallClock(unturned.In(zone)).Equal(wall) {
		return unturned, skipped
	}
	return at.UTC(), false
}

// Last returns the latest time of the cron schedule that is not after now and is after since; zero: there is none.
func (t Cron) Last(since, now time.Time) time.Time { return t.lastBy(since, now, t.Next) }

// lastBy is Last, with a Next that may count how often it is asked: some dozen times, however many there are.
func (t Cron) lastBy(since, now time.Time, next func(time.Time) time.Time) (last time.Time) {
	const farthest = 100 * 366 * 24 * time.Hour
	comes := func(after time.Time) bool {
		at := next(after)
		if at.IsZero() || at.After(now) {
			return false
		}
		last = at
		return true
	}
	from := now
	for back := time.Minute; !comes(from); back *= 4 {
		if !from.After(since) {
			return last
		}
		if from = since; back < farthest {
			from = laterOf(since, now.Add(-back))
		}
	}
	for end := now; comes(last); {
		if half := last.Add(end.Sub(last) / 2); !comes(half) {
			end = half
		}
	}
	return last
}

// Gaps returns the shortest and the longest time between two neighbours: over the next year, or years where they differ, or
// the next few times where that has fewer. Of a cron schedule with many times a day, the nights and the days without any are asked by the day.
func (t Cron) Gaps(from time.Time) (shortest, longest time.Duration) {
	return t.gapsBy(from, t.Next)
}

// gapsBy is Gaps, with a Next that may count how often it is asked.
func (t Cron) gapsBy(from time.Time, next func(time.Time) time.Time) (shortest, longest time.Duration) {
	const few, many = 9, 1000
	first := next(from)
	at := first
	for n := 0; n < few || at.Sub(first) < t.period(); n++ {
		if n == many {
			return shortest, max(longest, t.longestPause(at))
		}
		then := next(at)
		if then.IsZero() {
			break
		}
		gap := then.Sub(at)
		longest = max(longest, gap)
		if n == 0 || gap < shortest {
			shortest = gap
		}
		at = then
	}
	return shortest, longest
}

// period is the time after which the cron schedule is about the same again.
func (t Cron) period() time.Duration {
	const year = 366 * 24 * time.Hour
	if t.varies {
		return 5 * year
	}
	return year
}

// longestPause returns the longest time from the last time of a day to the first one of the next day that has any. All
// such days have the same times.
func (t Cron) longestPause(from time.Time) (longest time.Duration) {
	const few, day = 9, 24 * time.Hour
	first := t.onWall(wallClock(from).Truncate(day).Add(-time.Second))
	last := first
	for at := first; at.Before(first.Truncate(day).Add(day)) && !at.IsZero(); at = t.onWall(at) {
		last = at
	}
	busy := last.Sub(first) // from the first to the last time of a day
	for n := 0; n < few || (n < int(t.period()/day) && first.Sub(from) < t.period()); n++ {
		next := t.onWall(first.Add(busy))
		if next.IsZero() {
			break
		}
		longest = max(longest, next.Sub(first)-busy)
		first = next
	}
	return longest
}
