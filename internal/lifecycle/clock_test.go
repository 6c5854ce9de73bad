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
	never := time.Time{}
	for _, row := range []struct {
		name   string
		before clock
		now    time.Time
		after  clock
		frozen string // empty: all may go on
	}{
		{"first tick", clock{}, start, clock{start, never}, ""},
		{"a minute later", clock{start, never}, start.Add(time.Minute), clock{start.Add(time.Minute), never}, ""},
		{"the same time", clock{start, never}, start, clock{start, never}, ""},
		{"5 minutes behind", clock{start, never}, start.Add(-5 * time.Minute), clock{start, never}, ""},
		{"more than 5 minutes behind", clock{start, never}, start.Add(-5*time.Minute - 1), clock{start, never}, "the clock is behind 2026-03-01T12:00:00Z"},
		{"years behind", clock{start, never}, start.Add(-5000 * day), clock{start, never}, "the clock is behind 2026-03-01T12:00:00Z"},
		{"no clock at all", clock{start, never}, time.Time{}, clock{start, never}, "the clock is behind"},
		{"a day without a tick", clock{start, never}, start.Add(day), clock{start.Add(day), never}, ""},
		{"more than a day", clock{start, never}, start.Add(day + 1), clock{start.Add(day + 1), start.Add(day + 1)}, "the clock jumped by more than a day, to 2026-03-02T12:00:00Z"},
		{"a jump is being proved", clock{start, start}, start.Add(day - 1), clock{start.Add(day - 1), start}, "the clock jumped by more than a day, to 2026-03-01T12:00:00Z"},
		{"proved after a day", clock{start.Add(day - time.Minute), start}, start.Add(day), clock{start.Add(day), never}, ""},
		{"a second jump", clock{start.Add(time.Hour), start}, start.Add(time.Hour + 2*day), clock{start.Add(time.Hour + 2*day), start.Add(time.Hour + 2*day)}, "the clock jumped"},
		{"behind while being proved", clock{start.Add(time.Hour), start}, start.Add(-day), clock{start.Add(time.Hour), start}, "the clock is behind"},
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
