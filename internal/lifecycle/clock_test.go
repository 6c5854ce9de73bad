// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/stretchr/testify/require"
)

func TestClockGuard(t *testing.T) {
	type clock = lifecycle.Clock
	for _, row := range []struct {
		name   string
		before clock
		now    time.Time
		after  clock
		frozen string // empty: all may go on
	}{
		{"first tick", clock{}, start, clock{High: start}, ""},
		{"what was acknowledged stays", clock{High: start, Acknowledged: 3}, start.Add(time.Minute), clock{High: start.Add(time.Minute), Acknowledged: 3}, ""},
		{"a minute later", clock{High: start}, start.Add(time.Minute), clock{High: start.Add(time.Minute)}, ""},
		{"the same time", clock{High: start}, start, clock{High: start}, ""},
		{"5 minutes behind", clock{High: start}, start.Add(-5 * time.Minute), clock{High: start}, ""},
		{"more than 5 minutes behind", clock{High: start}, start.Add(-5*time.Minute - 1), clock{High: start}, "the clock is behind 2026-03-01T12:00:00Z"},
		{"years behind", clock{High: start}, start.Add(-5000 * day), clock{High: start}, "the clock is behind 2026-03-01T12:00:00Z"},
		{"no clock at all", clock{High: start}, time.Time{}, clock{High: start}, "the clock is behind"},
		{"a few minutes are no leap", clock{High: start}, start.Add(10 * time.Minute), clock{High: start.Add(10 * time.Minute)}, ""},
		{"an outage", clock{High: start}, start.Add(12 * time.Hour), clock{High: start.Add(12 * time.Hour), Leapt: 12 * time.Hour}, ""},
		{"half a day of running makes up for it", clock{High: start, Leapt: 11 * time.Hour}, start.Add(5 * time.Minute), clock{High: start.Add(5 * time.Minute), Leapt: 11*time.Hour - 5*time.Minute}, ""},
		{"and not for more", clock{High: start, Leapt: time.Minute}, start.Add(5 * time.Minute), clock{High: start.Add(5 * time.Minute)}, ""},
		{"more than half a day", clock{High: start}, start.Add(day/2 + 1), clock{High: start.Add(day/2 + 1), Jumped: start.Add(day/2 + 1)}, "the clock jumped by more than 12 hours in all, to 2026-03-02T00:00:00Z"},
		{"more than that in all", clock{High: start, Leapt: 11 * time.Hour}, start.Add(time.Hour + 1), clock{High: start.Add(time.Hour + 1), Jumped: start.Add(time.Hour + 1)}, "the clock jumped by more than 12 hours in all"},
		{"by an age", clock{High: start, Leapt: 11 * time.Hour}, start.Add(290 * 365 * day), clock{High: start.Add(290 * 365 * day), Jumped: start.Add(290 * 365 * day)}, "the clock jumped"},
		{"a jump is being proved", clock{High: start.Add(day - time.Minute), Jumped: start}, start.Add(day - 1), clock{High: start.Add(day - 1), Jumped: start}, "the clock jumped by more than 12 hours in all, to 2026-03-01T12:00:00Z"},
		{"proved after a day", clock{High: start.Add(day - time.Minute), Jumped: start}, start.Add(day), clock{High: start.Add(day), Acknowledged: 1}, ""},
		{"a second jump", clock{High: start.Add(time.Hour), Jumped: start}, start.Add(time.Hour + 2*day), clock{High: start.Add(time.Hour + 2*day), Jumped: start.Add(time.Hour + 2*day)}, "the clock jumped"},
		{"behind while being proved", clock{High: start.Add(time.Hour), Jumped: start}, start.Add(-day), clock{High: start.Add(time.Hour), Jumped: start}, "the clock is behind"},
	} {
		t.Run(row.name, func(t *testing.T) {
			after, frozen := row.before.Watch(row.now)
			require.Equal(t, row.after, after)
			if row.frozen == "" {
				require.Empty(t, frozen)
			} else {
				require.Contains(t, frozen, row.frozen)
			}
		})
	}
}

func TestClockThatJumpedIsBelievedAfterADayOfTicks(t *testing.T) {
	clock, _ := lifecycle.Clock{}.Watch(start)
	jump := start.Add(400 * day)
	for now := jump; ; now = now.Add(time.Minute) {
		var frozen string
		clock, frozen = clock.Watch(now)
		if frozen == "" {
			require.Equal(t, jump.Add(day), now)
			break
		}
		require.Equal(t, jump, clock.Jumped)
	}
	_, frozen := clock.Watch(clock.High.Add(time.Minute))
	require.Empty(t, frozen)
}

// TestLeapsThatGoUnnoticedLeaveAQuarterOfTheShortestDelay is a clock that goes wrong in whatever steps.
func TestLeapsThatGoUnnoticedLeaveAQuarterOfTheShortestDelay(t *testing.T) {
	const shortest = day // of destroy_delay
	for _, leap := range []time.Duration{11 * time.Minute, time.Hour, 6 * time.Hour, 12*time.Hour - 1, 12 * time.Hour, 24*time.Hour - time.Minute} {
		clock, _ := lifecycle.Clock{}.Watch(start)
		now, ran := start, time.Duration(0)
		for now.Before(start.Add(shortest)) {
			if leapt, frozen := clock.Watch(now.Add(leap)); frozen == "" {
				clock, now = leapt, now.Add(leap)
			}
			now, ran = now.Add(time.Minute), ran+time.Minute
			clock, _ = clock.Watch(now)
		}
		require.GreaterOrEqual(t, ran, shortest/4, "leaps of %s", leap)
	}
}

// TestClockThatWasWrongAndIsPutRight is the case of a clock that ran ahead: nothing harmful happens until the real time
// has caught up.
func TestClockThatWasWrongAndIsPutRight(t *testing.T) {
	clock, _ := lifecycle.Clock{}.Watch(start)
	clock, frozen := clock.Watch(start.Add(3650 * day))
	require.NotEmpty(t, frozen)
	clock, frozen = clock.Watch(start.Add(time.Hour))
	require.Contains(t, frozen, "the clock is behind 2036-02-27T12:00:00Z")
	require.Equal(t, start.Add(3650*day), clock.High)
}

func TestSumOfDenials(t *testing.T) {
	a := lifecycle.Denials{Count: 2, First: start.Add(time.Hour), Last: start.Add(3 * time.Hour)}
	b := lifecycle.Denials{Count: 3, First: start, Last: start.Add(2 * time.Hour)}
	sum := lifecycle.Denials{Count: 5, First: start, Last: start.Add(3 * time.Hour)}
	require.Equal(t, sum, a.Plus(b))
	require.Equal(t, sum, b.Plus(a))
	require.Equal(t, a, a.Plus(lifecycle.Denials{}))
	require.Equal(t, a, lifecycle.Denials{}.Plus(a))
}
