// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/schedule/scheduletest"
	"github.com/stretchr/testify/require"
)

func blackout(t testing.TB, zoneName string, texts ...string) schedule.Blackout {
	t.Helper()
	var ranges []schedule.Days
	for _, text := range texts {
		days, err := schedule.ParseDays(text)
		require.NoError(t, err)
		ranges = append(ranges, days)
	}
	b, err := schedule.NewBlackout(ranges, zone(t, zoneName))
	require.NoError(t, err)
	return b
}

func TestABlackoutEndsWithItsLastDay(t *testing.T) {
	for _, row := range []struct {
		zone   string
		ranges []string
		at     string
		want   string // empty: no blackout
	}{
		{"", []string{"12-15/01-05"}, "2026-12-14T23:59:59Z", ""},
		{"", []string{"12-15/01-05"}, "2026-12-15T00:00:00Z", "2027-01-06T00:00:00Z"},
		{"", []string{"12-15/01-05"}, "2027-01-05T23:59:59Z", "2027-01-06T00:00:00Z"},
		{"", []string{"12-15/01-05"}, "2027-01-06T00:00:00Z", ""},
		{"", []string{"12-24"}, "2026-12-24T12:00:00Z", "2026-12-25T00:00:00Z"},
		{"", []string{"2027-03-01/2027-03-14"}, "2027-03-14T12:00:00Z", "2027-03-15T00:00:00Z"},
		{"", []string{"2027-03-01/2027-03-14"}, "2028-03-14T12:00:00Z", ""},
		{"", []string{"12-31", "01-01/01-02", "12-24/12-30"}, "2026-12-24T12:00:00Z", "2027-01-03T00:00:00Z"},
		{"", []string{"02-29"}, "2027-02-28T12:00:00Z", ""},
		{"", []string{"02-29"}, "2027-03-01T12:00:00Z", ""},
		{"", []string{"02-29"}, "2028-02-29T12:00:00Z", "2028-03-01T00:00:00Z"},
		{"", []string{"02-20/02-29"}, "2027-02-25T12:00:00Z", "2027-03-01T00:00:00Z"},
		{"", []string{"02-29/03-05"}, "2027-03-01T12:00:00Z", "2027-03-06T00:00:00Z"},
		{"Europe/Berlin", []string{"12-15/01-05"}, "2026-12-14T23:00:00Z", "2027-01-05T23:00:00Z"},
		{"Europe/Berlin", []string{"03-29"}, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // of 23 hours
		{"Africa/Cairo", []string{"04-23"}, "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z"},  // the 24th begins at 01:00
		{"Pacific/Apia", []string{"01-01"}, "2026-12-31T12:00:00Z", "2027-01-01T11:00:00Z"},
	} {
		end := blackout(t, row.zone, row.ranges...).End(utc(t, row.at))
		if row.want == "" {
			require.Zero(t, end, "%v at %s", row.ranges, row.at)
			continue
		}
		require.Equal(t, row.want, end.Format(time.RFC3339), "%v at %s", row.ranges, row.at)
	}
}

func TestWhatIsNoRangeOfDaysIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "/", "12-24/", "/12-24", "12-32", "13-01", "02-30", "00-10", "1-5", "12-5", "12-24/2026-12-26", "2026-12-24/12-26", "24.12.", "Dec 24",
		"2027-02-29", "12-24 / 12-26", " 12-24", "12-24/12-25/12-26", "20270301/20270314", "2027-3-1", "12-24T00:00:00Z", "every day",
	} {
		_, err := schedule.ParseDays(text)
		require.ErrorContains(t, err, "must be a day or a range of days", "%q", text)
	}
	for _, text := range []string{"2027-03-14/2027-03-01", "2027-03-01/2028-03-02"} {
		_, err := schedule.ParseDays(text)
		require.ErrorContains(t, err, "must not end before it begins", "%q", text)
	}
}

func TestABlackoutThatNeverEndsIsRefused(t *testing.T) {
	for covers, texts := range map[bool][][]string{
		true:  {{"01-01/12-31"}, {"07-01/06-30"}, {"01-01/06-30", "07-01/12-31"}, {"03-01/02-28"}, {"05-05/05-04"}},
		false: {{"01-02/12-31"}, {"03-02/02-29"}, {"01-01/06-29", "07-01/12-31"}, {"2026-01-01/2026-12-31", "2027-01-01/2027-12-31"}},
	} {
		for _, list := range texts {
			var ranges []schedule.Days
			for _, text := range list {
				days, err := schedule.ParseDays(text)
				require.NoError(t, err)
				ranges = append(ranges, days)
			}
			_, err := schedule.NewBlackout(ranges, time.UTC)
			if !covers {
				require.NoError(t, err, list)
				continue
			}
			require.ErrorContains(t, err, "covers every day of a year", "%v", list)
		}
	}
}

// anyRanges draws ranges of days about a day.
func anyRanges(r *rand.Rand, about time.Time) (texts []string) {
	for range 1 + r.IntN(3) {
		first := about.AddDate(0, 0, r.IntN(12)-4)
		last := first.AddDate(0, 0, r.IntN(5))
		layout := "01-02"
		if r.IntN(3) == 0 {
			layout = time.DateOnly
		}
		text := first.Format(layout)
		if r.IntN(3) > 0 {
			text += "/" + last.Format(layout)
		}
		texts = append(texts, text)
	}
	return texts
}

// TestAWindowIsOpenAsAClockOnTheWallSays looks at a clock once a minute: it is open for the length from each opening, but for
// the days of the blackout.
func TestAWindowIsOpenAsAClockOnTheWallSays(t *testing.T) {
	r, changes := chance(17), 0
	for _, row := range []struct{ zone, about string }{
		{"", "2026-12-30T12:00:00Z"},
		{"", "2028-02-27T12:00:00Z"},
		{"", "2027-02-27T12:00:00Z"},
		{"Europe/Berlin", "2026-03-28T12:00:00Z"},
		{"Europe/Berlin", "2026-10-24T12:00:00Z"},
		{"Africa/Cairo", "2026-04-23T12:00:00Z"},
		{"Africa/Cairo", "2026-10-29T12:00:00Z"},
		{"America/Havana", "2026-03-08T05:00:00Z"},
		{"Atlantic/Azores", "2026-10-25T00:00:00Z"},
		{"Australia/Lord_Howe", "2026-10-03T12:00:00Z"},
	} {
		for range max(1, racetest.Size(t, 12)) {
			z, from := zone(t, row.zone), utc(t, row.about).AddDate(0, 0, -4)
			ranges := anyRanges(r, utc(t, row.about))
			w := schedule.Window{Blackout: blackout(t, row.zone, ranges...)}
			var opens []time.Time
			if r.IntN(3) > 0 {
				minute, hour := r.IntN(60), r.IntN(24)
				c := scheduletest.Cron{Sets: [5]map[int]bool{{minute: true}, {hour: true}}}
				w.Opens, w.Length = timetable(t, fmt.Sprintf("%d %d * * *", minute, hour), row.zone), time.Duration(1+r.IntN(8))*time.Hour
				opens = c.Walk(z, from.AddDate(0, 0, -2), from.AddDate(0, 0, 20))
			}
			open := func(at time.Time) bool {
				in := w.Opens.IsZero()
				for _, o := range opens {
					in = in || !at.Before(o) && at.Before(o.Add(w.Length))
				}
				return in && !scheduletest.Dark(ranges, at, z)
			}
			var next time.Time
			was := false
			for at := from.AddDate(0, 0, 12); at.After(from); at = at.Add(-time.Minute) {
				is := open(at)
				if is {
					next = at
				}
				if next.IsZero() || is == was && r.IntN(100) > 0 {
					continue // it is looked at wherever it opens or closes, and here and there
				}
				was = is
				changes++
				require.Equal(t, next, w.From(at), "%v: at %s", ranges, at)
				if s := w.At(at); is {
					require.False(t, s.From.After(at), "%v: open at %s", ranges, at)
					require.True(t, s.To.IsZero() || s.To.After(at))
				}
			}
		}
	}
	require.Greater(t, changes, racetest.Size(t, 1000))
}

func TestAWindowIsClosedForAsLongAsItsBlackoutAndTheWaitForTheNextOpening(t *testing.T) {
	created := utc(t, "2026-03-01T12:00:00Z")
	for _, row := range []struct {
		opens  string
		ranges []string
		want   time.Duration
	}{
		{"", []string{"12-15/01-05"}, 22 * day},
		{"", []string{"12-15/12-24", "12-25/01-05", "07-01"}, 22 * day},
		{"", []string{"2025-01-01/2025-06-30", "07-01"}, day},
		{"0 2 * * *", []string{"12-24"}, 20*time.Hour + 26*time.Hour},
		{"0 2 * * 6", nil, 7*day - 4*time.Hour},
	} {
		w := schedule.Window{Blackout: blackout(t, "", row.ranges...)}
		if row.opens != "" {
			w.Opens, w.Length = timetable(t, row.opens, ""), 4*time.Hour
		}
		require.Equal(t, row.want, w.Closed(created), "%v", row)
	}
}

func FuzzParseDays(f *testing.F) {
	for _, text := range []string{"12-24", "12-15/01-05", "2027-03-01/2027-03-14", "02-29", "/", "01-01/12-31"} {
		f.Add(text, int64(0))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		days, err := schedule.ParseDays(text)
		if err != nil {
			return
		}
		b, err := schedule.NewBlackout([]schedule.Days{days}, time.UTC)
		if err != nil {
			return
		}
		at := start.Add(time.Duration(seconds%(50*366*24*3600)) * time.Second)
		end := b.End(at)
		require.Equal(t, scheduletest.Dark([]string{text}, at, time.UTC), !end.IsZero(), "%s at %s", text, at)
		if !end.IsZero() {
			require.True(t, end.After(at))
			require.False(t, scheduletest.Dark([]string{text}, end, time.UTC))
			require.True(t, scheduletest.Dark([]string{text}, end.Add(-1), time.UTC))
		}
	})
}
