// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/stretchr/testify/require"
)

// withMarks is a key of 3000 versions of which so many, from the second on, are archived.
func withMarks(t testing.TB, n int) lifecycle.Key {
	t.Helper()
	k := newKey(t, 1)
	k.Latest, k.Primary, k.Marks = 3000, 3000, map[int]lifecycle.Mark{}
	for v := 2; v < 2+n; v++ {
		k.Marks[v] = lifecycle.Mark{State: lifecycle.Archived, At: start}
	}
	return k
}

func TestMarksOfAKeyAreBounded(t *testing.T) {
	k := step(t, withMarks(t, lifecycle.Most-1), lifecycle.Archive, 2500, free(later))
	require.Len(t, k.Marks, lifecycle.Most)
	refused(t, k, lifecycle.Archive, 2600, free(later), "has 2048 versions in states of their own, the most a key may have")
	step(t, k, lifecycle.Recover, 2500, free(later)) // as many
	step(t, k, lifecycle.Retire, 2500, free(later))
	k.Primary = 2999
	_, err := k.Rotated(lifecycle.ByOperator, "", time.Time{}, later)
	require.ErrorIs(t, err, lifecycle.ErrRefused)
	k.Marks[2601] = lifecycle.Mark{State: lifecycle.Retired, At: start, Until: start} // one more, in an emergency
	step(t, k, lifecycle.Destroy, 2601, free(later))
}

func TestTheBoundHoldsBackNoEmergency(t *testing.T) {
	k := withMarks(t, lifecycle.Most)
	suspended := step(t, k, lifecycle.Suspend, 2600, free(later))
	step(t, suspended, lifecycle.Resume, 2600, free(later))
	reported := step(t, k, lifecycle.ReportCompromise, 2600, free(later))
	reported = step(t, reported, lifecycle.ReportCompromise, 3000, free(later))
	require.True(t, reported.NeedsSuccessor())
	rotated(t, reported, lifecycle.ByIncident, "", 0, later)

	k.Primary = 2999 // after a rollback: it needs a mark when it is superseded
	rotated(t, k, lifecycle.ByIncident, "", 0, later)
}

func TestTheClockLeavesRoomForActsByHand(t *testing.T) {
	p := clockPolicy(t, lifecycle.Auto)
	archives := func(marks int, marked bool) bool {
		k := withMarks(t, marks)
		k.Oldest = lifecycle.Oldest{Version: 2900, Deactivated: start}
		if marked {
			k.Marks[2900] = lifecycle.Mark{State: lifecycle.Deactivated, At: start}
		}
		for _, e := range lifecycle.Agenda(k, p) {
			if e.Op == lifecycle.Archive {
				return true
			}
		}
		return false
	}
	require.True(t, archives(lifecycle.Most-lifecycle.Reserve-1, false))
	require.False(t, archives(lifecycle.Most-lifecycle.Reserve, false))
	require.True(t, archives(lifecycle.Most, true), "it needs no more room")
}
