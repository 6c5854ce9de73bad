// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

// century is the longest span there is.
const century = 36500 * day

func TestSpanReadsWhatPeopleWrite(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0":           0,
		"0s":          0,
		"0d":          0,
		"3600":        time.Hour,
		"2147483648":  2147483648 * time.Second, // over 31 bits, 68 of the 100 years
		"3153600000":  century,
		"90d":         90 * day,
		"1d12h":       36 * time.Hour,
		"1d12h30m15s": 36*time.Hour + 30*time.Minute + 15*time.Second,
		"1d0.5h":      24*time.Hour + 30*time.Minute,
		"12h30m":      12*time.Hour + 30*time.Minute,
		"1.5h":        90 * time.Minute,
		"876000h":     century,
		"32767d":      32767 * day,
		"32768d":      32768 * day, // over 15 bits, 89 of the 100 years
		"36500d":      century,
		"36499d24h":   century,
	} {
		t.Run(text, func(t *testing.T) {
			got, err := schedule.ParseSpan(text)
			require.NoError(t, err)
			require.Equal(t, schedule.Span{Text: text, Duration: want}, got)
		})
	}
}

func TestSpanRefusesNastyInput(t *testing.T) {
	for _, text := range []string{
		"", " ", "d", "h", "-", "+", ".", "-1", "-1s", "-1d", "-0.5h", "1e3", "1e3s", "1_000", "0x10", "NaN", "Inf", "infs",
		"1.5d", "1d2d", "1h1d", "1dd", "d1h", "1d 12h", " 1h", "1h ", "1D", "1w", "1y", "90 days", "9०d", "1h\x00",
		"36501d", "36500d1s", "3153600001", "876000h1s", "876001h", "9223372036854775807", "9223372036854775808",
		"9223372036854775807ns", "9223372036854775808ns", "106751d23h47m16s854ms", "213503d", "32767d2562047h",
		"99999999999999999999d", "99999999999999999999h", strings.Repeat("9", 10_000), strings.Repeat("9", 10_000) + "d",
		"1d-12h", "1d-1h", "-1d48h", // Go's sign is for the whole: these are neither 12h, 23h nor 24h
	} {
		t.Run(text[:min(len(text), 24)], func(t *testing.T) {
			got, err := schedule.ParseSpan(text)
			require.ErrorContains(t, err, "must be a duration such as", "%v", got)
			require.Zero(t, got)
		})
	}
}

func TestJitterReadsWhatPeopleWrite(t *testing.T) {
	for _, row := range []struct {
		text   string
		period time.Duration
		want   time.Duration
	}{
		{"0%", 90 * day, 0},
		{"5%", 100 * day, 5 * day},
		{"25%", 100 * day, 25 * day},
		{"2.5%", 1000 * time.Hour, 25 * time.Hour},
		{"5%", 0, 0},
		{"5%", 90 * time.Second, 4 * time.Second}, // whole seconds
		{"25%", century, century / 4},
		{"0", day, 0},
		{"90", day, 90 * time.Second},
		{"12h", 30 * day, 12 * time.Hour},
		{"1d", 30 * day, day},
		{"1.9s", day, time.Second},
	} {
		t.Run(row.text+" of "+row.period.String(), func(t *testing.T) {
			got, err := schedule.ParseJitter(row.text)
			require.NoError(t, err)
			require.Equal(t, row.text, got.Text)
			require.Equal(t, row.want, got.Of(row.period))
		})
	}
}

func TestJitterRefusesNastyInput(t *testing.T) {
	for _, text := range []string{
		"", "%", "-1%", "-0.001%", "25.001%", "26%", "100%", "NaN%", "nan%", "Inf%", "+Inf%", "-Inf%", "1e3%", "1e400%",
		"5 %", " 5%", "5%%", "5%d", "1d%", "five%", "5percent", "-1", "-1s", "1e3", "d", "36501d", "9223372036854775807",
	} {
		t.Run(text, func(t *testing.T) {
			got, err := schedule.ParseJitter(text)
			require.ErrorContains(t, err, "must be a", "%+v", got)
			require.Zero(t, got, "there is no value where there is an error")
		})
	}
}

func FuzzParseSpan(f *testing.F) {
	for _, text := range []string{"90d", "1d12h", "12h30m", "3600", "0", "", "d", "-1", "1e3", "36500d", "-1d48h", "1d-12h", "1d-0s", "-0s", "1d+1h", "9223372036854775807ns"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := schedule.ParseSpan(text)
		if err != nil {
			require.Zero(t, got)
			return
		}
		require.Equal(t, text, got.Text)
		require.GreaterOrEqual(t, got.Duration, time.Duration(0))
		require.LessOrEqual(t, got.Duration, century)

		again, err := schedule.ParseSpan(got.String())
		require.NoError(t, err, "what Go prints of a span can be read")
		require.Equal(t, got.Duration, again.Duration)
		require.NotContains(t, text, "-", "nothing below zero becomes a span, also not in part")
	})
}

func FuzzParseJitter(f *testing.F) {
	for _, text := range []string{"5%", "25%", "0%", "NaN%", "-1%", "1h", "1d", "0x1p2%", "1e1%", "%", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := schedule.ParseJitter(text)
		if err != nil {
			return
		}
		require.Equal(t, text, got.Text)
		for _, period := range []time.Duration{0, time.Minute, 90 * day, century} {
			most := got.Of(period)
			require.GreaterOrEqual(t, most, time.Duration(0))
			require.Zero(t, most%time.Second)
			if strings.HasSuffix(text, "%") {
				require.LessOrEqual(t, most, period/4)
			}
		}
	})
}
