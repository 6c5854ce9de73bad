// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Blackout is when automation holds still: days of a calendar, from the beginning of the first to the end of the last, in a
// time zone. The zero Blackout is never. It is immutable.
type Blackout struct {
	ranges []Days
	zone   *time.Location
}

// Days are a range of days, both ends among it: of one year, or of every year.
type Days struct {
	first, last time.Time // midnight in UTC; of every year: in a leap year, and the last may be before the first
	yearly      bool
}

// leap is a year that has every day.
const leap = 2000

// ParseDays reads a day or a range of days: "12-24", "12-15/01-05" of every year, "2027-03-01/2027-03-14" of one. The error
// is the rule that the text breaks.
func ParseDays(text string) (Days, error) {
	first, last, isRange := strings.Cut(text, "/")
	if !isRange {
		last = first
	}
	from, yearly, fromErr := parseDay(first)
	to, toYearly, toErr := parseDay(last)
	if fromErr != nil || toErr != nil || yearly != toYearly {
		return Days{}, errors.New(`must be a day or a range of days of every year, such as "12-24" or "12-15/01-05", or of one, such as "2027-03-01/2027-03-14"`)
	}
	if !yearly && (to.Before(from) || to.After(from.AddDate(1, 0, 0))) {
		return Days{}, errors.New("must not end before it begins, nor later than a year after")
	}
	return Days{from, to, yearly}, nil
}

func parseDay(text string) (day time.Time, yearly bool, err error) {
	if day, err = time.Parse(time.DateOnly, text); err == nil {
		return day, false, nil
	}
	day, err = time.Parse("01-02", text)
	return time.Date(leap, day.Month(), day.Day(), 0, 0, 0, 0, time.UTC), true, err
}

// NewBlackout returns the blackout of the ranges. The error is the rule that they break together.
func NewBlackout(ranges []Days, zone *time.Location) (Blackout, error) {
	b := Blackout{slices.Clone(ranges), zone}
	if len(ranges) == 0 {
		return Blackout{}, nil
	}
	yearly := Blackout{slices.DeleteFunc(slices.Clone(ranges), func(d Days) bool { return !d.yearly }), zone}
	const commonYear = leap + 1
	for day := time.Date(commonYear, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == commonYear; day = day.AddDate(0, 0, 1) {
		if yearly.rangeOn(day).IsZero() {
			return b, nil
		}
	}
	return Blackout{}, errors.New("covers every day of a year, so that nothing would ever be rotated; leave a day out")
}

// IsZero reports a blackout that never is.
func (b Blackout) IsZero() bool { return len(b.ranges) == 0 }

// End returns when the blackout ends that is at the time; zero: none is.
func (b Blackout) End(at time.Time) time.Time {
	if b.IsZero() {
		return time.Time{}
	}
	end := b.endOn(dayOf(at.In(b.zone)))
	if end.IsZero() {
		return end
	}
	return begins(end, b.zone)
}

// endOn returns the first day after the blackout that is on a day; zero: none is. Ranges may follow one another.
func (b Blackout) endOn(day time.Time) (end time.Time) {
	for next := b.rangeOn(day); !next.IsZero(); next = b.rangeOn(next) {
		end = next
	}
	return end
}

// rangeOn returns the first day after a range that has the day; zero: none has.
func (b Blackout) rangeOn(day time.Time) time.Time {
	for _, d := range b.ranges {
		for _, s := range d.in(day.Year()-1, day.Year()) {
			if !day.Before(s.From) && day.Before(s.To) {
				return s.To
			}
		}
	}
	return time.Time{}
}

// in returns when the range is, by days as they are on a calendar: of a yearly one, the stretches that begin in the years.
func (d Days) in(first, last int) []Stretch {
	if !d.yearly {
		return []Stretch{{From: d.first, To: d.last.AddDate(0, 0, 1)}}
	}
	var list []Stretch
	for year := first; year <= last; year++ {
		if s := d.beginningIn(year); s.From.Before(s.To) { // else the year does not have its only day
			list = append(list, s)
		}
	}
	return list
}

// beginningIn is the stretch of a yearly range that begins in a year.
func (d Days) beginningIn(year int) Stretch {
	from := time.Date(year, d.first.Month(), d.first.Day(), 0, 0, 0, 0, time.UTC) // 29 February may be 1 March
	if d.last.Before(d.first) {
		year++
	}
	// 29 February may be 1 March, and then the range ends before it.
	last := time.Date(year, d.last.Month(), d.last.Day(), 0, 0, 0, 0, time.UTC)
	if last.Day() != d.last.Day() {
		return Stretch{From: from, To: last}
	}
	return Stretch{From: from, To: last.AddDate(0, 0, 1)}
}

// stretches returns when the blackout is, by ranges, in the year of a time, in the one before and in so many that follow.
func (b Blackout) stretches(about time.Time, years int) (list []Stretch) {
	if b.IsZero() {
		return nil
	}
	year := about.In(b.zone).Year()
	for _, d := range b.ranges {
		for _, s := range d.in(year-1, year+years) {
			list = append(list, Stretch{From: begins(s.From, b.zone), To: begins(s.To, b.zone)})
		}
	}
	return list
}

// dayOf returns the day on a calendar on the wall, as midnight in UTC.
func dayOf(local time.Time) time.Time {
	year, month, day := local.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// begins returns when a day begins: where the clock is put forward at midnight, then.
func begins(day time.Time, zone *time.Location) time.Time {
	at, skipped := instant(day, zone)
	if !skipped {
		return at
	}
	turned, _ := at.In(zone).ZoneBounds()
	return turned.UTC()
}
