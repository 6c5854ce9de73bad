// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/schedule/scheduletest"
	"github.com/stretchr/testify/require"
)

// requireDays holds that a cron schedule names those days of the week, Sunday being 0, on a clock on the wall.
func requireDays(t *testing.T, text string, days ...int) {
	t.Helper()
	c := scheduletest.Cron{Text: "30 2 * * " + text, Sets: [5]map[int]bool{{30: true}, {2: true}, nil, nil, {}}}
	for _, d := range days {
		c.Sets[4][d%7] = true
	}
	const place = "Europe/Berlin"
	from := utc(t, "2026-03-22T12:00:00Z") // in these three weeks the clock goes forward
	to := from.Add(21 * day)
	want := c.Walk(zone(t, place), from, to)
	require.Len(t, want, 3*len(c.Sets[4]), text)
	checkTimes(t, timetable(t, c.Text, place), want, from, to, c.Text)
}

func TestARangeOfDaysMayEndOnASunday(t *testing.T) {
	racetest.Skip(t, "one goroutine, and nothing but arithmetic")
	for text, days := range map[string][]int{
		"SAT-SUN": {6, 0}, "sat-sun": {6, 0}, "6-7": {6, 0}, "6-07": {6, 0}, "6-SUN": {6, 0}, "SAT-7": {6, 0},
		"FRI-SUN": {5, 6, 0}, "5-7": {5, 6, 0}, "THU-SUN/2": {4, 6}, "5-7/2": {5, 0}, "3-7/4": {3, 0},
		"1-7": {0, 1, 2, 3, 4, 5, 6}, "MON-SUN": {0, 1, 2, 3, 4, 5, 6}, "0-7": {0, 1, 2, 3, 4, 5, 6}, "SUN-7": {0, 1, 2, 3, 4, 5, 6},
		"SUN-SAT": {0, 1, 2, 3, 4, 5, 6}, "MON-SUN/2": {1, 3, 5, 0}, "0-7/2": {0, 2, 4, 6}, "SUN-SAT/3": {0, 3, 6},
		"7-7": {0}, "0-0": {0}, "SUN-SUN": {0}, "7-SUN": {0}, "7": {0}, "1,SAT-SUN": {0, 1, 6}, "6-7,3": {0, 3, 6}, "SUN-MON": {0, 1},
		"MON-FRI": {1, 2, 3, 4, 5}, "1-5/2": {1, 3, 5}, "3-3": {3},
	} {
		requireDays(t, text, days...)
	}
}

func TestARangeOfDaysHoldsAllFromTheFirstToTheLast(t *testing.T) {
	for first := range 8 {
		for last := first; last < 8; last++ {
			for step := range 4 {
				if racetest.Spared(t, first+last+step) {
					continue
				}
				text, every := fmt.Sprintf("%d-%d", first, last), 1
				if step > 0 {
					text, every = fmt.Sprintf("%s/%d", text, step), step
				}
				var days []int
				for d := first; d <= last; d += every {
					days = append(days, d)
				}
				requireDays(t, text, days...)
			}
		}
	}
}

// TestARangeOfAllDaysIsNoAnyDay is what every cron makes of a day of the week beside a day of the month: either will do.
func TestARangeOfAllDaysIsNoAnyDay(t *testing.T) {
	from := utc(t, "2026-03-01T12:00:00Z")
	require.Equal(t, utc(t, "2026-03-02T00:00:00Z"), timetable(t, "0 0 13 * MON-SUN", "").Next(from))
	require.Equal(t, utc(t, "2026-03-13T00:00:00Z"), timetable(t, "0 0 13 * *", "").Next(from))
}

func TestAStepWithoutARangeIsRefusedWithWhatToWrite(t *testing.T) {
	for text, instead := range map[string]string{
		"5/15 * * * *": "5-59/15", "0 1/3 * * *": "1-23/3", "0 0 2/7 * *": "2-31/7", "0 0 1 3/3 *": "3-12/3", "0 0 * * 1/2": "1-6/2",
	} {
		_, err := schedule.ParseCron(text, time.UTC)
		require.ErrorContains(t, err, fmt.Sprintf("write %q", instead))
	}
}
