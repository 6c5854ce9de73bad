// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/schedule/scheduletest"
	"github.com/stretchr/testify/require"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := schedule.ParseZone(name)
	require.NoError(t, err)
	return z
}

func timetable(t testing.TB, text, zoneName string) schedule.Cron {
	t.Helper()
	table, err := schedule.ParseCron(text, zone(t, zoneName))
	require.NoError(t, err)
	return table
}

func utc(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at.UTC()
}

func TestTimetableTakesFiveFields(t *testing.T) {
	from := utc(t, "2026-03-01T12:00:00Z") // a Sunday
	for text, want := range map[string]string{
		"* * * * *":                             "2026-03-01T12:01:00Z",
		"*/15 * * * *":                          "2026-03-01T12:15:00Z",
		"5-59/20 * * * *":                       "2026-03-01T12:05:00Z",
		"30 3 * * *":                            "2026-03-02T03:30:00Z",
		" 30  3 * *  * ":                        "2026-03-02T03:30:00Z",
		"0 0 1 * *":                             "2026-04-01T00:00:00Z",
		"0 0 1 1 *":                             "2027-01-01T00:00:00Z",
		"0 0 1 JAN *":                           "2027-01-01T00:00:00Z",
		"0 0 * jan-feb,dec *":                   "2026-12-01T00:00:00Z",
		"0 0 * * MON":                           "2026-03-02T00:00:00Z",
		"0 0 * * mon-fri":                       "2026-03-02T00:00:00Z",
		"0 13 * * 0":                            "2026-03-01T13:00:00Z",
		"0 13 * * 7":                            "2026-03-01T13:00:00Z",
		"0,30 9-17/4 * * *":                     "2026-03-01T13:00:00Z",
		"0 0 29 2 *":                            "2028-02-29T00:00:00Z",
		"0 0 31 * *":                            "2026-03-31T00:00:00Z",
		"0 0 13 * 5":                            "2026-03-06T00:00:00Z", // as every cron: on the 13th, and on Fridays
		"59 23 31 12 *":                         "2026-12-31T23:59:00Z",
		"00 03 01 01 *":                         "2027-01-01T03:00:00Z",
		strings.Repeat("0,", 123) + "0 * * * *": "2026-03-01T13:00:00Z",
	} {
		require.Equal(t, utc(t, want), timetable(t, text, "").Next(from), text)
	}
}

func TestTimetableRefusesWhatOtherSystemsReadOtherwise(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	for _, text := range []string{
		"", "*", "* * * *", "* * * * * *", "0 0 0 1 1 * 2027", "@daily", "@every 1h", "TZ=UTC 0 0 * * *",
		"0 0 L-3 * *", "0 0 WL * *", "0 0 0W * *", "0 0 32W * *", "0 0 1-5W * *", "0 0 15WL * *", "0 0 L/2 * *", "0 0 5#2 * *", "0 0 * L *", "0 L * * *", "L 0 * * *", "0 0 * * L", "0 0 * * 15W", "0 0 * * FRI#0", "0 0 * * FRI#6", "0 0 * * 8#1", "0 0 * * FOO#1", "0 0 * * FRI#2L", "0 0 * * 1-5#2", "0 0 * * JANL", "0 0 * * 5#2/2", "0 0 ? * *", "0 0 * * ?",
		"60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8",
		"-1 * * * *", "1-  * * * *", "5-1 * * * *", "5-1,7 * * * *", "* * * * FRI-MON", "* * * * 6-0", "* * * * 7-2", "* * * * 7-0", "* * * * 5-8", "* * * * 1-5/0", "* * * * 5-7/7", "* * * * JAN-SUN", "* * * * MON-FOO", "*-5 * * * *", "*/0 * * * *", "*/a * * * *", "1,,2 * * * *", ", * * * *", "5/20 * * * *", "0 1/3 * * *", "0 0 1/40 * *", "0 0 * 1/3 *", "0 0 * * 1/3", "0 0 * * MON/2", "1,5/20 * * * *", "1.5 * * * *",
		"* * * FOO *", "* * * * JAN", "MON * * * *", "* * * MONDAY *", "~ * * * *", "H * * * *", "٣ * * * *",
		strings.Repeat("0,", 124) + "0 * * * *",
	} {
		_, err := schedule.ParseCron(text, time.UTC)
		require.ErrorContains(t, err, "must be a cron expression of five fields", text)
	}
	for _, text := range []string{"0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30-31 feb *"} {
		_, err := schedule.ParseCron(text, time.UTC)
		require.EqualError(t, err, "names a date that never comes", text)
	}
}

func TestZoneIsAPlaceOfTheDatabase(t *testing.T) {
	for _, name := range []string{"", "UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"} {
		_, err := schedule.ParseZone(name)
		require.NoError(t, err, name)
	}
	for _, name := range []string{"Local", "Berlin", "+02:00", "../etc/passwd", "/etc/localtime", "Europe/Berlin ", "CEST"} {
		_, err := schedule.ParseZone(name)
		require.ErrorContains(t, err, "must be a name of the IANA time zone database", name)
	}
}

// TestTimetableSurvivesTheChangesOfTheClock holds what comes around the two changes of a year, east and west of
// Greenwich, for half an hour (Lord Howe), and where there are none.
func TestTimetableSurvivesTheChangesOfTheClock(t *testing.T) {
	for _, row := range []struct {
		zone, text, from string
		want             []string // in local time
	}{
		{"Europe/Berlin", "30 2 * * *", "2026-03-27T12:00:00Z", []string{"03-28 02:30 +0100", "03-29 03:30 +0200", "03-30 02:30 +0200"}},
		{"Europe/Berlin", "30 2 * * *", "2026-10-23T12:00:00Z", []string{"10-24 02:30 +0200", "10-25 02:30 +0200", "10-26 02:30 +0100"}},
		{"Europe/Berlin", "0 * * * *", "2026-03-28T23:30:00Z", []string{"03-29 01:00 +0100", "03-29 03:00 +0200", "03-29 04:00 +0200"}},
		{"Europe/Berlin", "0 * * * *", "2026-10-24T23:30:00Z", []string{"10-25 02:00 +0200", "10-25 03:00 +0100", "10-25 04:00 +0100"}},
		{"America/New_York", "30 2 * * *", "2026-03-06T12:00:00Z", []string{"03-07 02:30 -0500", "03-08 03:30 -0400", "03-09 02:30 -0400"}},
		{"America/New_York", "30 1 * * *", "2026-10-30T12:00:00Z", []string{"10-31 01:30 -0400", "11-01 01:30 -0400", "11-02 01:30 -0500"}},
		{"America/New_York", "15,45 1-3 * * *", "2026-03-08T06:40:00Z", []string{"03-08 01:45 -0500", "03-08 03:15 -0400", "03-08 03:45 -0400", "03-09 01:15 -0400"}},
		{"Australia/Lord_Howe", "10 2 * * *", "2026-10-02T12:00:00Z", []string{"10-03 02:10 +1030", "10-04 02:40 +1100", "10-05 02:10 +1100"}},
		{"Australia/Lord_Howe", "20,35 2 * * *", "2026-10-03T12:00:00Z", []string{"10-04 02:35 +1100", "10-04 02:50 +1100", "10-05 02:20 +1100"}},
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-03T12:00:00Z", []string{"04-04 01:45 +1100", "04-05 01:45 +1100", "04-06 01:45 +1030"}},
		{"Asia/Kolkata", "30 2 * * *", "2026-03-27T12:00:00Z", []string{"03-28 02:30 +0530", "03-29 02:30 +0530"}},
	} {
		table, at := timetable(t, row.text, row.zone), utc(t, row.from)
		for _, want := range row.want {
			at = table.Next(at)
			require.Equal(t, want, at.In(zone(t, row.zone)).Format("01-02 15:04 -0700"), "%s in %s", row.text, row.zone)
			require.Equal(t, time.UTC, at.Location())
		}
	}
}

// cronRanges are the values of the five fields.
var cronRanges = [5][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}}

// anyCron draws a cron schedule that has a time every month at least.
func anyCron(r *rand.Rand) scheduletest.Cron {
	var c scheduletest.Cron
	var texts []string
	for i, bounds := range cronRanges {
		if r.IntN(3) == 0 || i == 3 { // any month: others are a matter of the library
			texts = append(texts, "*")
			continue
		}
		c.Sets[i] = map[int]bool{}
		var list []string
		for range 1 + r.IntN(3) {
			n := bounds[0] + r.IntN(min(bounds[1], 28)-bounds[0]+1)
			c.Sets[i][n] = true
			list = append(list, strconv.Itoa(n))
		}
		texts = append(texts, strings.Join(list, ","))
	}
	c.Text = strings.Join(texts, " ")
	return c
}

func TestTimetableAgreesWithAClockOnTheWall(t *testing.T) {
	r := chance(11)
	changes := map[string][]string{
		"Europe/Berlin":       {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
		"America/New_York":    {"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"},
		"Australia/Lord_Howe": {"2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"},
		"Asia/Kolkata":        {"2026-06-01T00:00:00Z"},
		"America/St_Johns":    {"2026-03-08T05:30:00Z", "2026-11-01T04:30:00Z"},
		"Africa/Casablanca":   {"2026-02-15T02:00:00Z", "2026-03-22T02:00:00Z"},
	}
	times := 0
	for name, list := range changes {
		z := zone(t, name)
		for _, text := range list {
			for range 1 + racetest.Size(t, 7) {
				c := anyCron(r)
				table, err := schedule.ParseCron(c.Text, z)
				require.NoError(t, err, c.Text)
				from := utc(t, text).Add(-time.Duration(r.IntN(30*3600)) * time.Second)
				to := from.Add(60 * time.Hour)
				want := c.Walk(z, from, to)
				times += len(want)
				checkTimes(t, table, want, from, to, c.Text+" in "+name)
			}
		}
	}
	require.Greater(t, times, racetest.Size(t, 1000))
}

// checkTimes holds that the cron schedule has the times wanted, from wherever one looks.
func checkTimes(t *testing.T, table schedule.Cron, want []time.Time, from, to time.Time, what string) {
	t.Helper()
	var got []time.Time
	for at := table.Next(from); !at.After(to); at = table.Next(at) {
		got = append(got, at)
		if len(got)%40 == 1 {
			require.Equal(t, at, table.Last(from, at), what)
			require.Equal(t, at, table.Last(time.Time{}, at.Add(30*time.Second)), what)
		}
	}
	require.Len(t, got, len(want), "%s from %s", what, from)
	for i, at := range got {
		require.True(t, at.Equal(want[i]), "%s: got %s, want %s", what, at, want[i])
	}
	for at := from; at.Before(to); at = at.Add(107*time.Minute + 13*time.Second) {
		next := table.Next(at)
		i := slices.IndexFunc(got, func(slot time.Time) bool { return slot.After(at) })
		if i < 0 {
			require.True(t, next.After(to))
			continue
		}
		require.Equal(t, got[i], next, "%s after %s", what, at)
		if last := table.Last(from, at); i == 0 {
			require.Zero(t, last, what)
		} else {
			require.Equal(t, got[i-1], last, what)
		}
	}
}

func TestNextIsAlwaysLaterAndNeverGoesBack(t *testing.T) {
	r := chance(12)
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Chatham", ""} {
		for range racetest.Size(t, 30) {
			c := anyCron(r)
			table := timetable(t, c.Text, name)
			var instants []time.Time
			for range 200 {
				instants = append(instants, start.Add(time.Duration(r.Int64N(int64(20*365*day)))))
			}
			slices.SortFunc(instants, time.Time.Compare)
			var before time.Time
			for _, at := range instants {
				next := table.Next(at)
				require.True(t, next.After(at), "%s in %s", c.Text, name)
				require.False(t, next.Before(before), "%s in %s", c.Text, name)
				require.Equal(t, next, table.Last(at, next), "the last time is the one that was next")
				require.Zero(t, table.Last(at, next.Add(-1)))
				before = next
			}
		}
	}
}

func TestLastLooksBackAsFarAsItHasTo(t *testing.T) {
	leap := timetable(t, "0 0 29 2 *", "")
	now := utc(t, "2027-12-31T00:00:00Z")
	require.Equal(t, utc(t, "2024-02-29T00:00:00Z"), leap.Last(time.Time{}, now))
	require.Zero(t, leap.Last(utc(t, "2024-02-29T00:00:00Z"), now), "a time is used once")
	require.Zero(t, leap.Last(now.Add(time.Hour), now), "the clock went back")
	require.Zero(t, leap.Next(utc(t, "2098-01-01T00:00:00Z")), "the timetable ends with the century")
}

// TestTimetableIsSharedBetweenRequests is for the race detector: the library behind it writes to what it reads.
func TestTimetableIsSharedBetweenRequests(t *testing.T) {
	table := timetable(t, "0 3 13 * 5", "Europe/Berlin")
	want := table.Next(start)
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for n := range 200 {
				table.Next(start.Add(time.Duration(n*i) * day))
			}
		})
	}
	wait.Wait()
	require.Equal(t, want, table.Next(start))
	require.Equal(t, timetable(t, "0 3 13 * 5", "Europe/Berlin"), table)
}

func BenchmarkNext(b *testing.B) {
	table := timetable(b, "30 2 1 * 1-5", "Europe/Berlin")
	for b.Loop() {
		table.Next(start)
	}
}

func TestTheLastTimeOfATimetableIsFoundInAFewLooks(t *testing.T) {
	now := utc(t, "2026-03-01T12:00:30Z")
	for text, want := range map[string]string{
		"* * * * *":      "2026-03-01T12:00:00Z",
		"*/7 * * * *":    "2026-03-01T12:00:00Z",
		"* 0-8 * * *":    "2026-03-01T08:59:00Z",
		"30 3 * * *":     "2026-03-01T03:30:00Z",
		"0 0 29 2 *":     "2024-02-29T00:00:00Z",
		"* * 29 2 *":     "2024-02-29T23:59:00Z",
		"59 23 31 12 1":  "2025-12-31T23:59:00Z",
		"0-59 12 1 3 0":  "2026-03-01T12:00:00Z",
		"0 12 28 2 *":    "2026-02-28T12:00:00Z",
		"0 0 1 1,7 *":    "2026-01-01T00:00:00Z",
		"0 */2 1-15 * *": "2026-03-01T12:00:00Z",
	} {
		table := timetable(t, text, "")
		since := now.Add(-5 * 366 * 24 * time.Hour)
		require.Equal(t, want, table.Last(since, now).Format(time.RFC3339), text)
		require.LessOrEqual(t, table.LookUpsOfLast(since, now), 60, text)
		require.True(t, table.Last(now, now).IsZero(), text)
	}
}

func TestTheGapsOfTheDensestTimetableAreFoundInAFewLooks(t *testing.T) {
	for _, text := range []string{"* * * * *", "* * * 1 *", "* * 29 2 *", "*/2 9-17 * * 1-5"} {
		require.LessOrEqual(t, timetable(t, text, "").LookUps(start), 1001, "%s: it has up to 527,040 times in a year", text)
	}
}
