// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

// timeRules are the rules of lengths of time, of the schedule, and between them, each on both sides of its bound. The
// document they edit has a period of 30 days, a jitter of 10%, 2 days of staging, a rollback window of 12 hours.
func timeRules(t testing.TB) []fieldRule {
	s := func(text string) schedule.Span { return span(t, text) }
	unscheduled := func(edit func(doc)) func(doc) {
		return func(d doc) {
			d.RotationPeriod, d.RotationJitter = s("0"), jitter(t, "0")
			edit(d)
		}
	}
	const cron = `must be a cron expression of five fields`
	return append(windowRules(t), []fieldRule{
		{"RotationPeriod", "too short", func(d doc) { d.RotationPeriod = s("59s") }, `rotation_period: "59s": must be 0 (no rotation) or at least 1m`},
		{"RotationPeriod", "below zero", func(d doc) { d.RotationPeriod = schedule.Span{Text: "-1d", Duration: -day} }, `rotation_period: "-1d": must be 0`},
		{"RotationPeriod", "shortest", func(d doc) {
			d.RotationPeriod, d.StagingTime, d.RollbackWindow = s("1m"), s("0"), schedule.Span{}
		}, ""},
		{"RotationPeriod", "none", unscheduled(func(doc) {}), ""},
		{"RotationSchedule", "besides a period", func(d doc) { d.RotationSchedule = "0 3 1 * *" }, `rotation_schedule: "0 3 1 * *": excludes rotation_period, which is 30d`},
		{"RotationSchedule", "instead of a period", unscheduled(func(d doc) { d.RotationSchedule = "0 3 1 * *" }), ""},
		{"RotationSchedule", "no cron", unscheduled(func(d doc) { d.RotationSchedule = "monthly" }), `rotation_schedule: "monthly": ` + cron},
		{"RotationZone", "unknown", func(d doc) { d.RotationZone = "Europe/Atlantis" }, `rotation_zone: "Europe/Atlantis": must be a name of the IANA time zone database`},
		{"RotationZone", "that of the server", func(d doc) { d.RotationZone = "Local" }, `rotation_zone: "Local": must be a name`},
		{"RotationZone", "UTC", func(d doc) { d.RotationZone = "" }, ""},
		{"RotationJitter", "longest in percent", func(d doc) { d.RotationJitter = jitter(t, "25%") }, ""},
		{"RotationJitter", "longest", func(d doc) { d.RotationPeriod, d.RotationJitter = s("40d"), jitter(t, "10d") }, ""},
		{
			"RotationJitter", "too long", func(d doc) { d.RotationPeriod, d.RotationJitter = s("40d"), jitter(t, "10d1s") },
			`rotation_jitter: "10d1s": must be at most 25% of the rotation period, which is 40d`,
		},
		{"RotationJitter", "without a period", unscheduled(func(d doc) { d.RotationJitter = jitter(t, "1h") }), `rotation_jitter: "1h": must be at most 25% of the rotation period, which is 0s`},
		{
			"RotationJitter", "too long for the shortest gap", unscheduled(func(d doc) { // February
				d.RotationSchedule, d.RotationZone, d.RotationJitter = "0 3 1 * *", "", jitter(t, "7d1s")
			}), `rotation_jitter: "7d1s": must be at most 25% of the rotation period, which is 28d`,
		},
		{"RotationJitter", "longest for the shortest gap", unscheduled(func(d doc) {
			d.RotationSchedule, d.RotationZone, d.RotationJitter = "0 3 1 * *", "", jitter(t, "7d")
		}), ""},
		{"StagingTime", "longest", func(d doc) { d.StagingTime = s("29d11h59m59s") }, ""},
		{
			"StagingTime", "too long", func(d doc) { d.StagingTime = s("29d12h") },
			`staging_time: "29d12h": staging_time and rollback_window (12h) must together be shorter than the rotation period, which is 30d`,
		},
		{"StagingTime", "without a period", unscheduled(func(d doc) { d.StagingTime = s("100d") }), ""},
		{"RollbackWindow", "too long", func(d doc) { d.StagingTime, d.RollbackWindow = s("0"), s("30d") }, "staging_time and rollback_window (30d) must together be shorter"},
		{"RollbackWindow", "longest", func(d doc) { d.StagingTime, d.RollbackWindow = s("0"), s("29d23h59m59s") }, ""},
		{"OriginatorPeriod", "none", func(d doc) { d.OriginatorPeriod = s("0") }, ""},
		{"OriginatorPeriod", "left out", func(d doc) { d.OriginatorPeriod = schedule.Span{} }, ""},
		{"OriginatorPeriod", "shortest", func(d doc) { d.OriginatorPeriod = s("35d") }, ""}, // 30 days, 10%, 2 days of staging
		{
			"OriginatorPeriod", "too short", func(d doc) { d.OriginatorPeriod = s("34d23h59m59s") },
			`originator_period: "34d23h59m59s": must be 0 or at least the rotation period with its jitter, staging_time and the time that rotation_window is closed, together 35d`,
		},
		{"OriginatorPeriod", "shortest without a period", unscheduled(func(d doc) { d.OriginatorPeriod = s("60h1s") }), ""},
		{"OriginatorPeriod", "too short without a period", unscheduled(func(d doc) { d.OriginatorPeriod = s("60h") }), `originator_period: "60h": must be 0 or longer than staging_time and rollback_window, together 2d12h`},
		{"RecipientPeriod", "none", func(d doc) { d.RecipientPeriod = s("0") }, ""},
		{"RecipientPeriod", "shortest", func(d doc) { d.RecipientPeriod, d.ArchiveAfter = s("12h"), s("0") }, ""},
		{
			"RecipientPeriod", "too short", func(d doc) { d.RecipientPeriod, d.ArchiveAfter = s("11h59m59s"), s("0") },
			`recipient_period: "11h59m59s": must be 0 or at least rollback_window, which is 12h`,
		},
		{"ArchiveAfter", "never", func(d doc) { d.ArchiveAfter = s("0") }, ""},
		{"ArchiveAfter", "in the window", func(d doc) { d.ArchiveAfter = s("11h59m59s") }, `archive_after: "11h59m59s": must be 0 or at least rollback_window, which is 12h`},
		{"ArchiveAfter", "after the window", func(d doc) { d.ArchiveAfter = s("12h") }, ""},
		{"ArchiveAfter", "too late", func(d doc) { d.ArchiveAfter = s("730d1s") }, `archive_after: "730d1s": must be at most recipient_period, which is 730d`},
		{"ArchiveAfter", "latest", func(d doc) { d.ArchiveAfter = s("730d") }, ""},
		{"ArchiveAfter", "late, without a recipient period", func(d doc) { d.ArchiveAfter, d.RecipientPeriod = s("36500d"), s("0") }, ""},
		{"RetireAfter", "never", func(d doc) { d.RetireAfter = s("0") }, ""},
		{"QuietPeriod", "none", func(d doc) { d.QuietPeriod = s("0") }, ""},
	}...)
}

// windowRules are those of the rotation window: it is open for six hours on Saturdays, in UTC.
func windowRules(t testing.TB) []fieldRule {
	weekly := func(edit func(doc)) func(doc) {
		return func(d doc) {
			d.RotationWindow, d.RotationWindowLength, d.RotationZone = "0 2 * * 6", span(t, "6h"), ""
			edit(d)
		}
	}
	return []fieldRule{
		{"RotationWindow", "no cron", func(d doc) { d.RotationWindow = "weekend" }, `rotation_window: "weekend": must be a cron expression of five fields`},
		{"RotationWindow", "weekly", weekly(func(doc) {}), ""},
		{"RotationWindowLength", "too short", weekly(func(d doc) { d.RotationWindowLength = span(t, "59m59s") }), `rotation_window_length: "59m59s": must be at least 1h`},
		{"RotationWindowLength", "shortest", weekly(func(d doc) { d.RotationWindowLength = span(t, "1h") }), ""},
		{"RotationWindowLength", "without a window", func(d doc) { d.RotationWindow, d.RotationWindowLength = "", span(t, "0") }, ""},
		// 30 days, 3 of jitter, 2 of staging; twice 6 days and 18 hours closed, 3 hours of jitter inside, 5 minutes
		{"OriginatorPeriod", "shortest with a window", weekly(func(d doc) { d.OriginatorPeriod = span(t, "48d15h5m") }), ""},
		{"OriginatorPeriod", "too short with a window", weekly(func(d doc) { d.OriginatorPeriod = span(t, "48d15h4m59s") }), `originator_period: "48d15h4m59s": must be 0 or at least`},
	}
}

func TestOriginatorPeriodLeftOutFollowsTheScheduleAndItsWindow(t *testing.T) {
	originator := func(edit func(doc)) time.Duration {
		return rulesFor(policyOf(t, edit)).OriginatorPeriod
	}
	require.Equal(t, 365*day, originator(func(doc) {}))
	fourYears := 1461 * day
	for _, schedule := range []string{"0 3 29 2 *", "* * 29 2 *"} {
		got := originator(func(d doc) {
			d.RotationPeriod, d.RotationSchedule, d.RotationJitter = span(t, "0"), schedule, jitter(t, "25%")
			d.StagingTime, d.RollbackWindow = span(t, "0"), span(t, "0")
		})
		require.InDelta(t, fourYears+fourYears/4, got, float64(2*day), schedule)
	}
	require.Equal(t, 365*day, originator(func(d doc) { // a pause of eleven months
		d.RotationPeriod, d.RotationSchedule, d.RotationJitter = span(t, "0"), "* * * 1 *", jitter(t, "0")
		d.StagingTime, d.RollbackWindow = span(t, "0"), span(t, "0")
	}))
}

// TestLongestGapOfAScheduleCountsWhereverItIs has schedules whose last gap, of those that are looked at, is a short one.
func TestLongestGapOfAScheduleCountsWhereverItIs(t *testing.T) {
	for cron, longest := range map[string]time.Duration{
		"0 9 * * 1,2,3":  5 * day,
		"0 9 * 3-5,7 *":  213 * day, // from August to February
		"0,9 9 * * 1-4":  4*day - 9*time.Minute,
		"*/5 9 1-4 * *":  28*day - 55*time.Minute,
		"* 0,23 * * *":   22*time.Hour + time.Minute, // by day, which is longer than any night
		"* 9 * 3 *":      335*day - 59*time.Minute,   // behind the first thousand
		"* 9,10 * 2-3 *": 307*day - 119*time.Minute,
	} {
		scheduled := func(originator time.Duration) error {
			d := policy.DefaultDocument()
			d.Owner, d.RotationPeriod, d.RotationJitter = "payments", span(t, "0"), jitter(t, "0")
			d.RotationSchedule, d.RollbackWindow = cron, span(t, "0")
			d.OriginatorPeriod = span(t, originator.String())
			_, err := policy.New("pci", 1, d, start)
			return err
		}
		require.NoError(t, scheduled(longest), cron)
		require.ErrorContains(t, scheduled(longest-time.Second), "together "+schedule.DurationText(longest), cron)
	}
}

func TestRollbackWindowIsAtMostAQuarterOfTheShortestGapOfASchedule(t *testing.T) {
	p := policyOf(t, func(d doc) { d.RotationPeriod, d.RotationSchedule = span(t, "0"), "0 1,3 * * *" })
	require.Equal(t, 30*time.Minute, rulesFor(p).RollbackWindow)
}
