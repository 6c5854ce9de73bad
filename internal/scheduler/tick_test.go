// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

const day = 24 * time.Hour

func span(t testing.TB, text string) schedule.Span {
	t.Helper()
	s, err := schedule.ParseSpan(text)
	require.NoError(t, err)
	return s
}

// rotating is a world with a policy p by which keys rotate every thirty days.
func rotating(t testing.TB, edit func(d *policy.Document)) *enginetest.World {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) {
		d.RotationMode, d.RotationPeriod, d.RotationJitter = policy.Auto, span(t, "30d"), schedule.Jitter{}
		if edit != nil {
			edit(d)
		}
	})
	w.Tick()
	return w
}

// pass lets time go by as it does in production, with ticks often enough that the clock guard believes it.
func pass(w *enginetest.World, d time.Duration) {
	for end := w.Clock.Now().Add(d); w.Clock.Now().Before(end); {
		w.Clock.Add(min(10*time.Minute, end.Sub(w.Clock.Now())))
		w.Tick()
	}
}

func TestATickRotatesWhatIsDueAndNothingElse(t *testing.T) {
	w := rotating(t, nil)
	w.Create("k", "p")
	w.Create("free", "")
	pass(w, 30*day-time.Hour)
	require.Equal(t, 1, w.Stored("k").Latest)
	pass(w, 2*time.Hour)
	require.Equal(t, 2, w.Stored("k").Latest)
	require.Equal(t, 1, w.Stored("free").Latest)
	w.Acts()
	require.Zero(t, w.Tick().Rotated)
	require.Empty(t, w.Acts())
}

func TestATickActsOnNobodysBehalf(t *testing.T) {
	w := rotating(t, nil)
	w.Create("k", "p")
	w.Acts()
	pass(w, 31*day)
	acts := w.Acts()
	require.Len(t, acts, 1)
	require.True(t, acts[0].System)
	require.Equal(t, "rotate", acts[0].Act)
}

func TestTheKeyThatWaitsLongestComesFirst(t *testing.T) {
	w := rotating(t, nil)
	var want []string
	for _, name := range []string{"b", "c", "a"} {
		w.Create(name, "p")
		w.Clock.Add(time.Hour)
		w.Tick()
		want = append(want, name)
	}
	pass(w, 29*day)
	w.Acts()
	w.Restart()
	w.Clock.Add(day)
	w.Tick()
	var got []string
	for _, act := range w.Acts() {
		got = append(got, act.Key)
	}
	require.Equal(t, want, got)
}

func TestAKeyThatFailsIsPutOffAndStopsNoOther(t *testing.T) {
	w := rotating(t, nil)
	w.Create("bad", "p")
	w.Create("good", "p")
	w.Fail("IsStored bad", errors.New("storage fails"))
	pass(w, 30*day)
	require.Equal(t, 2, w.Stored("good").Latest)
	bad := w.Stored("bad")
	require.Equal(t, 1, bad.Latest)
	require.Equal(t, 1, bad.Rotation.Failures)
	require.Contains(t, bad.Rotation.LastError, "storage fails")
	require.True(t, bad.Alerts.Has(lifecycle.Retrying))
	require.True(t, bad.Due.After(w.Clock.Now()))
	w.Fail("IsStored bad", nil)
	pass(w, 2*time.Hour)
	require.Equal(t, 2, w.Stored("bad").Latest)
	require.Empty(t, w.Stored("bad").Alerts)
}

func TestAKeyThatPanicsStopsNoOther(t *testing.T) {
	w := rotating(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		w.Create(name, "p")
	}
	w.Before("IsStored a", func() { panic("boom") })
	pass(w, 30*day)
	require.Equal(t, 1, w.Stored("a").Latest)
	require.Equal(t, 2, w.Stored("b").Latest)
	require.Equal(t, 2, w.Stored("c").Latest)
	require.Equal(t, 1, w.Stored("a").Rotation.Failures)
}

// TestATokenThatIsAwayIsNoFailureOfTheKeys is about an HSM that is down for an hour, with keys that are due.
func TestATokenThatIsAwayIsNoFailureOfTheKeys(t *testing.T) {
	for name, checks := range map[string][]string{"wrapping": nil, "the check of the wrapper": {"hsm_healthy"}} {
		w := rotating(t, func(d *policy.Document) { d.PreChecks = checks })
		w.Create("k", "p")
		pass(w, 30*day-time.Hour)
		w.Token.Away(fmt.Errorf("token: %w", envelope.ErrUnavailable))
		pass(w, 2*time.Hour)
		k := w.Stored("k")
		require.Equal(t, 1, k.Latest, name)
		require.Zero(t, k.Rotation.Failures, name)
		require.False(t, k.Alerts.Has(lifecycle.Retrying), name)
		require.True(t, w.Logged("deferred: keys wait for the wrapper of key material"), name)
		w.Token.Away(nil)
		pass(w, 10*time.Minute)
		require.Equal(t, 2, w.Stored("k").Latest, name)
	}
}

func TestAFailureThatCannotBeNotedIsLoggedWithWhatIsKnown(t *testing.T) {
	w := rotating(t, nil)
	w.Create("k", "p")
	pass(w, 30*day-time.Hour)
	w.Fail("IsStored", errors.New("cannot read"))
	w.Fail("UpdateKey", errors.New("cannot write"))
	w.Clock.Add(2 * time.Hour)
	w.Tick()
	require.True(t, w.Logged(`could not be noted: key=k error="cannot read" note="cannot write"`))
}

func TestATickHasItsTimeAndTheNextGoesOn(t *testing.T) {
	w := rotating(t, nil)
	for i := range 8 {
		w.Create(fmt.Sprintf("k%d", i), "p")
	}
	pass(w, 30*day-time.Hour)
	w.Before("IsStored", func() { w.Clock.Add(8 * time.Second) }) // a storage that is slow
	w.Clock.Add(time.Hour)
	first := w.Tick()
	require.True(t, first.Unfinished)
	require.Less(t, first.Rotated, 8)
	require.Positive(t, first.Rotated)
	rotated := first.Rotated
	for range 8 {
		rotated += w.Tick().Rotated
	}
	require.Equal(t, 8, rotated)
}

func TestOnlyOneTickRunsAtATime(t *testing.T) {
	w := rotating(t, nil)
	w.Before("Erasures", func() {
		w.Before("Erasures", nil)
		inner, err := w.ByClock().Tick(context.Background())
		require.NoError(t, err)
		require.Zero(t, inner)
	})
	w.Tick()
}

func TestTheKeysOfAChangedPolicyFollowIt(t *testing.T) {
	w := rotating(t, nil)
	w.Create("k", "p")
	before := w.Stored("k").Due
	w.Policy("p", func(d *policy.Document) { d.RotationPeriod = span(t, "10d") })
	require.Equal(t, 1, w.Tick().Reindexed)
	require.True(t, w.Stored("k").Due.Before(before))
	require.Zero(t, w.Tick().Reindexed)
}

func TestAnEntryThatIsLostIsRestored(t *testing.T) {
	w := rotating(t, nil)
	w.Create("k", "p")
	w.RemoveDue("k")
	w.Restart()
	require.Equal(t, 1, w.Tick().Repaired)
	pass(w, 31*day)
	require.Equal(t, 2, w.Stored("k").Latest)
}

func TestAClockThatLeapsHoldsBackWhatCannotBeUndone(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) {
		d.RecipientPeriod, d.ArchiveAfter = span(t, "60d"), span(t, "30d")
	})
	w.Create("k", "p")
	w.Rotate("k")
	w.Tick()
	w.Clock.Add(90 * day)
	require.NotEmpty(t, w.Tick().Frozen)
	inUse, _, _ := w.StoredVersion("k", 1)
	require.NotEmpty(t, inUse, "it is where it was")
}

func TestWhatWasCutShortIsCompleted(t *testing.T) {
	w := enginetest.New(t)
	w.Create("gone", "")
	allowed := true
	_, _, err := w.Session().Keys().Configure(t.Context(), "gone", lifecycle.ConfigChange{DeletionAllowed: &allowed}, engine.Precondition{})
	require.NoError(t, err)
	w.Create("k", "")
	w.Rotate("k")
	w.Fail("FinishErasure", errors.New("storage fails"))
	w.Fail("Relocate", errors.New("storage fails"))
	require.Error(t, w.Session().Keys().Delete(t.Context(), "gone", engine.Precondition{}))
	_, err = w.Session().Versions().Transition(t.Context(), "k", engine.Operation{Op: lifecycle.Archive, Version: 1})
	require.NoError(t, err)
	w.Fail("FinishErasure", nil)
	w.Fail("Relocate", nil)
	report := w.Tick()
	require.Equal(t, 1, report.Erased)
	require.Equal(t, 1, report.Relocated)
	inUse, archived, _ := w.StoredVersion("k", 1)
	require.Empty(t, inUse)
	require.NotEmpty(t, archived)
}

func TestACompromisedVersionIsReplacedWithEveryTickUntilItSucceeds(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Tick()
	w.Token.Away(errors.New("no wrapper"))
	_, err := w.Session().Versions().Transition(t.Context(), "k", engine.Operation{Op: lifecycle.ReportCompromise, Version: 1, Code: "key_compromise"})
	require.NoError(t, err)
	require.Equal(t, 1, w.Stored("k").Latest)
	w.Token.Away(nil)
	w.Clock.Add(time.Minute)
	w.Tick()
	require.Equal(t, 2, w.Stored("k").Latest)
}

func TestTheStatusCountsWhatWaits(t *testing.T) {
	w := rotating(t, nil)
	w.Create("k", "p")
	pass(w, 30*day-time.Hour)
	w.Clock.Add(2 * time.Hour)
	s, err := w.ByClock().Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, s.Due)
	require.True(t, s.Complete)
	require.Positive(t, s.Lateness)
	w.Tick()
	s, err = w.ByClock().Status(t.Context())
	require.NoError(t, err)
	require.Zero(t, s.Due)
	require.Equal(t, 1, s.Rotated)
}

func TestAPolicyThatIsMissingIsNamed(t *testing.T) {
	w := rotating(t, nil)
	w.Create("k", "p")
	w.Restart()
	w.Fail("Policy p", refusal.NoPolicy("p"))
	s, err := w.ByClock().Status(t.Context())
	require.NoError(t, err)
	require.Len(t, s.Ungoverned, 1)
	require.Equal(t, []string{"k"}, s.Ungoverned[0].Keys)
}
