// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// This file is about a staged version that is suspended.

// stopped is a key of five versions and a sixth that is staged and suspended.
func stopped(t testing.TB) lifecycle.Key { return steps(t, staged(t, 5), 6, lifecycle.Suspend) }

// emergency is what replaces the compromised fifth version of a key whose sixth is stopped.
func emergency(t testing.TB) lifecycle.Key {
	t.Helper()
	k := steps(t, stopped(t), 5, lifecycle.ReportCompromise)
	require.True(t, k.NeedsSuccessor())
	require.Zero(t, k.Successor(), "it was stopped")
	return rotated(t, k, lifecycle.ByIncident, "", 0, later.Add(day))
}

func TestAnEmergencyDoesNotWaitForAStagedVersionThatIsSuspended(t *testing.T) {
	before := steps(t, stopped(t), 5, lifecycle.ReportCompromise)
	snapshot := copied(before)
	k := emergency(t)
	require.Equal(t, snapshot, before, "the snapshot before stays as it was")
	require.Equal(t, []int{7, 7, 0}, []int{k.Latest, k.Primary, k.Staged})
	require.Equal(t, []lifecycle.State{lifecycle.Suspended, lifecycle.Active}, []lifecycle.State{k.State(6), k.State(7)})
	require.False(t, k.NeedsSuccessor())
}

func TestAStagedVersionThatGaveWayIsStagedAgainWhenItIsResumed(t *testing.T) {
	k := step(t, emergency(t), lifecycle.Resume, 6, free(later.Add(2*day)))
	require.Equal(t, lifecycle.PreActive, k.State(6), "it never was active, so it is not deactivated")
	require.Equal(t, 6, k.Staged)

	next, err := emergency(t).Stage(lifecycle.ByOperator, "", time.Time{}, later.Add(2*day))
	require.NoError(t, err)
	refused(t, next, lifecycle.Resume, 6, free(later.Add(3*day)), "version 6 was staged, and version 8 is now")
}

func TestNothingButAnEmergencyPassesAStagedVersionThatIsSuspended(t *testing.T) {
	for _, trigger := range []lifecycle.Trigger{lifecycle.ByOperator, lifecycle.BySchedule} {
		_, err := stopped(t).Rotate(trigger, "", time.Time{}, later.Add(day))
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.EqualError(t, err, `version 6 of key "orders" is staged and suspended: resume it, then promote or retire it first`)
	}
	_, err := staged(t, 5).Rotate(lifecycle.ByIncident, "", time.Time{}, later)
	require.ErrorContains(t, err, "promote or retire it first", "one that is in order takes over")
	out := lifecycle.Plan(stopped(t).Failed("token removed", nil, later), tenDays(t), later.Add(day))
	require.Equal(t, lifecycle.Overdue, out.Status, "nobody tries to promote it")
	require.Equal(t, "due, and version 6 is still staged and suspended: resume it, then promote or retire it", out.Why)
}

func TestForecastReplacesACompromisedVersionPastAStagedOneThatIsSuspended(t *testing.T) {
	k := steps(t, stopped(t), 5, lifecycle.ReportCompromise)
	got := lifecycle.Forecast(k, nil, nil, later.Add(day), 1)
	require.Len(t, got, 1)
	require.Equal(t, []any{"rotate", 7}, []any{got[0].Act, got[0].Version})
}
