// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/schedule/scheduletest"
	"github.com/stretchr/testify/require"
)

func TestDaysOfWhichOnlyTheMonthTellsTheDate(t *testing.T) {
	for text, want := range map[string]string{
		"0 0 L * *":          "2026-02-28 2026-03-31 2026-04-30 2026-05-31",
		"0 0 L 2 *":          "2026-02-28 2027-02-28 2028-02-29 2029-02-28",
		"0 0 l,1 * *":        "2026-02-28 2026-03-01 2026-03-31 2026-04-01",
		"0 0 LW * *":         "2026-02-27 2026-03-31 2026-04-30 2026-05-29",
		"0 0 15W * *":        "2026-02-16 2026-03-16 2026-04-15 2026-05-15",
		"0 0 1W,31W * *":     "2026-03-02 2026-03-31 2026-04-01 2026-05-01",
		"0 0 29W 2 *":        "2028-02-29 2032-02-27 2036-02-29 2040-02-29",
		"0 0 * * SUN#1":      "2026-03-01 2026-04-05 2026-05-03 2026-06-07",
		"0 0 * * 7#1":        "2026-03-01 2026-04-05 2026-05-03 2026-06-07",
		"0 0 * 1,4,7,10 0#1": "2026-04-05 2026-07-05 2026-10-04 2027-01-03",
		"0 0 * * fri#5":      "2026-05-29 2026-07-31 2026-10-30 2027-01-29",
		"0 0 * * 5L":         "2026-02-27 2026-03-27 2026-04-24 2026-05-29",
		"0 0 * * SUNL,2#2":   "2026-02-22 2026-03-10 2026-03-29 2026-04-14",
		"0 0 L * SAT#1":      "2026-02-28 2026-03-07 2026-03-31 2026-04-04", // as every cron: either will do
	} {
		table, at := timetable(t, text, ""), utc(t, "2026-02-10T12:00:00Z")
		var got []string
		for range 4 {
			at = table.Next(at)
			got = append(got, at.Format(time.DateOnly))
		}
		require.Equal(t, want, strings.Join(got, " "), text)
	}
}

// anyDays draws a cron of days of which only the month tells the date, among others.
func anyDays(r *rand.Rand) scheduletest.Cron {
	c := scheduletest.Cron{Sets: [5]map[int]bool{{30: true}, {2: true}}, Workdays: map[int]bool{}, Nth: map[[2]int]bool{}, LastOf: map[int]bool{}}
	names := []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	var ofMonth, ofWeek []string
	add := func(list *[]string, text string) { *list = append(*list, text) }
	if r.IntN(3) == 0 {
		c.LastDay = true
		add(&ofMonth, "L")
	}
	if r.IntN(3) == 0 {
		c.LastWorkday = true
		add(&ofMonth, "LW")
	}
	for range r.IntN(3) {
		n := 1 + r.IntN(31)
		c.Workdays[n] = true
		add(&ofMonth, fmt.Sprintf("%dW", n))
	}
	if n := 1 + r.IntN(31); len(ofMonth) > 0 && r.IntN(2) == 0 {
		c.Sets[2] = map[int]bool{n: true}
		add(&ofMonth, fmt.Sprint(n))
	}
	for range r.IntN(3) {
		day, n := r.IntN(7), 1+r.IntN(5)
		c.Nth[[2]int{day, n}] = true
		add(&ofWeek, fmt.Sprintf("%s#%d", names[day], n))
	}
	for range r.IntN(2) {
		day := r.IntN(7)
		c.LastOf[day] = true
		add(&ofWeek, fmt.Sprintf("%dL", day))
	}
	if len(c.Workdays) == 0 {
		c.Workdays = nil
	}
	if len(c.Nth) == 0 {
		c.Nth = nil
	}
	if len(c.LastOf) == 0 {
		c.LastOf = nil
	}
	field := func(list []string) string {
		if len(list) == 0 {
			return "*"
		}
		return strings.Join(list, ",")
	}
	c.Text = fmt.Sprintf("30 2 %s * %s", field(ofMonth), field(ofWeek))
	return c
}

func TestDaysInAMonthAgreeWithAClockOnTheWall(t *testing.T) {
	r, times := chance(13), 0
	for _, row := range []struct{ zone, from string }{
		{"Europe/Berlin", "2026-03-01T00:00:00Z"},
		{"Europe/Berlin", "2026-10-01T00:00:00Z"},
		{"America/New_York", "2026-02-20T00:00:00Z"},
		{"Australia/Lord_Howe", "2026-09-25T00:00:00Z"},
		{"", "2028-02-01T00:00:00Z"},
		{"", "2026-12-10T00:00:00Z"},
		{"Asia/Kolkata", "2027-02-01T00:00:00Z"},
	} {
		for range max(1, racetest.Size(t, 16)) {
			c := anyDays(r)
			from := utc(t, row.from)
			to := from.Add(70 * day)
			want := c.Walk(zone(t, row.zone), from, to)
			times += len(want)
			checkTimes(t, timetable(t, c.Text, row.zone), want, from, to, c.Text+" in "+row.zone)
		}
	}
	require.Greater(t, times, racetest.Size(t, 300))
}

func TestGapsBetweenDaysThatVaryAreThoseOfSomeYears(t *testing.T) {
	for text, want := range map[string][2]time.Duration{
		"0 0 * * SUN#1": {28 * day, 35 * day},
		"0 0 L * *":     {28 * day, 31 * day},
		"0 0 * * FRI#5": {63 * day, 119 * day},
		"* * L * *":     {time.Minute, 31*day - day + time.Minute},
	} {
		shortest, longest := timetable(t, text, "").Gaps(utc(t, "2026-02-10T12:00:00Z"))
		require.Equal(t, want, [2]time.Duration{shortest, longest}, text)
	}
}
