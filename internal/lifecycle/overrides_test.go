// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// withMarks is a key of 3000 versions of which so many, from the second on, are archived.
func withMarks(t testing.TB, n int) lifecycle.Key {
	t.Helper()
	k := newKey(t, 1)
	k.Latest, k.Primary, k.Overrides = 3000, 3000, map[int]lifecycle.StateOverride{}
	for v := 2; v < 2+n; v++ {
		k.Overrides[v] = lifecycle.StateOverride{State: lifecycle.Archived, At: start.Add(time.Duration(v))}
	}
	return k
}

func TestMarksOfAKeyAreBounded(t *testing.T) {
	k := step(t, withMarks(t, lifecycle.Most-1), lifecycle.Archive, 2500, free(later))
	require.Len(t, k.Overrides, lifecycle.Most)
	refused(t, k, lifecycle.Archive, 2600, free(later.Add(1)), "has 2048 versions in states of their own, the most a key may have")
	step(t, k, lifecycle.Recover, 2500, free(later)) // as many
	step(t, k, lifecycle.Retire, 2500, free(later))
	k.Primary = 2999
	_, err := k.Rotate(lifecycle.ByOperator, "", time.Time{}, later)
	require.ErrorIs(t, err, refusal.ErrRefused)
	k.Overrides[2601] = lifecycle.StateOverride{State: lifecycle.Retired, At: start, DestroyAt: start} // one more, in an emergency
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

	k.Primary = 2999 // after a rollback: it needs an override when it is superseded
	rotated(t, k, lifecycle.ByIncident, "", 0, later)
}

func TestTheClockLeavesRoomForActsByHand(t *testing.T) {
	p := clockPolicy(t, policy.Auto)
	archives := func(overrides int, marked bool) bool {
		k := withMarks(t, overrides)
		k.Oldest = lifecycle.Oldest{Version: 2900, Deactivated: start}
		if marked {
			k.Overrides[2900] = lifecycle.StateOverride{State: lifecycle.Deactivated, At: start}
		}
		for _, e := range lifecycle.AllPendingTransitions(k, p) {
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

// reportedAlone is a key of twenty thousand versions of which every second is reported, each at a time of its own.
func reportedAlone(t testing.TB, n int) lifecycle.Key {
	t.Helper()
	k := newKey(t, 1)
	k.Latest, k.Primary, k.Overrides = 40_000, 40_000, map[int]lifecycle.StateOverride{}
	for i := range n {
		at := start.Add(time.Duration(i) * time.Second)
		k.Overrides[2*i+1] = lifecycle.StateOverride{
			State: lifecycle.Compromised, At: at, RetireNotBefore: at, Compromise: lifecycle.Compromise{Code: "unspecified", Occurred: at, Reported: at},
		}
	}
	return k
}

func different(k lifecycle.Key) int {
	overrides := map[lifecycle.StateOverride]bool{}
	for _, override := range k.Overrides {
		overrides[override] = true
	}
	return len(overrides)
}

func TestReportsShareAMarkWhereThereAreMany(t *testing.T) {
	few := step(t, reportedAlone(t, lifecycle.Alone-1), lifecycle.ReportCompromise, 39_999, free(later))
	require.Equal(t, lifecycle.Alone, different(few))

	k := step(t, reportedAlone(t, 6000), lifecycle.ReportCompromise, 39_999, lifecycle.Order{At: later, Code: "unspecified", Occurred: later})
	require.Len(t, k.Overrides, 6001)
	require.Equal(t, 1, different(k))
	require.Equal(t, lifecycle.StateOverride{
		State: lifecycle.Compromised, At: later, RetireNotBefore: later,
		Compromise: lifecycle.Compromise{Code: "unspecified", Occurred: start, Reported: later},
	}, k.Overrides[1], "no period is shortened, and it may have happened as early")

	k = step(t, k, lifecycle.ReportCompromise, 2, lifecycle.Order{At: later, Code: "superseded"})
	k = steps(t, steps(t, k, 4, lifecycle.Archive, lifecycle.ReportCompromise), 6, lifecycle.Suspend)
	require.Equal(t, []any{4, true, "superseded"}, []any{different(k), k.Overrides[4].Locked, k.Overrides[2].Compromise.Code}, "what differs is not mixed up")
	k = steps(t, k, 8, lifecycle.Suspend)
	require.Equal(t, 4, different(k))
	k = step(t, k, lifecycle.Resume, 8, free(later.Add(2*day)))
	require.Equal(t, lifecycle.Deactivated, k.State(8))
}

func TestRetiringWhatSharesAMarkIsBoundedAndKeepsItsTime(t *testing.T) {
	racetest.Skip(t, "one goroutine retires thousands of versions")
	k := step(t, reportedAlone(t, 6000), lifecycle.ReportCompromise, 39_999, free(later))
	retired := 0
	for v := 1; v < 12_000; v += 2 {
		next, _, err := k.Apply(lifecycle.Retire, v, free(later.Add(time.Duration(v)*time.Hour)))
		if err != nil {
			require.ErrorContains(t, err, "the most a key may have")
			break
		}
		k = next
		retired++
		if retired > lifecycle.Most {
			break
		}
	}
	require.InDelta(t, lifecycle.Most/2, retired, 4, "a retired version that was reported has a mark of its own, of twice the weight")
	destroyed := step(t, k, lifecycle.Destroy, 1, free(later.Add(1000*day)))
	step(t, destroyed, lifecycle.Destroy, 3, free(later.Add(1000*day)))
	step(t, k, lifecycle.ReportCompromise, 2, free(later))
}

func TestARecordTakesNoMoreVersionsThanItHoldsAndTheKeyIsStoppedAllTheSame(t *testing.T) {
	racetest.Skip(t, "one goroutine fills a record")
	k := reportedAlone(t, lifecycle.Crowd)
	for _, op := range []lifecycle.Op{lifecycle.ReportCompromise, lifecycle.Suspend, lifecycle.Archive} {
		refused(t, k, op, 2, free(later), "has 16384 versions in states of their own, the most that its record holds; suspend or archive the key as a whole")
	}
	require.Equal(t, lifecycle.KeySuspended, moved(t, k, lifecycle.KeySuspended).Status.State)
	step(t, k, lifecycle.Retire, 1, free(later))
}
