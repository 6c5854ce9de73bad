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
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

func rotation(w *enginetest.World) observe.Rotation { return w.Observe.Board.Rotation.Get() }

func TestTheBoardHasWhatStaysDueAfterATick(t *testing.T) {
	w := rotating(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		w.Create(name, "p")
		w.Clock.Add(time.Minute)
	}
	pass(w, 30*day-time.Hour)
	require.Zero(t, rotation(w).Due)
	require.Zero(t, rotation(w).OldestDue)
	w.Token.Away(fmt.Errorf("token: %w", envelope.ErrUnavailable))
	pass(w, 2*time.Hour)
	require.Equal(t, 3, rotation(w).Due)
	require.Equal(t, w.Stored("a").Due.Truncate(time.Minute), rotation(w).OldestDue)
	w.Token.Away(nil)
	pass(w, 10*time.Minute)
	require.Zero(t, rotation(w).Due)
	require.Zero(t, rotation(w).OldestDue)
}

func TestTheBoardHasWhatATickDidNotComeTo(t *testing.T) {
	w := rotating(t, nil)
	for i := range 8 {
		w.Create(fmt.Sprintf("k%d", i), "p")
		w.Clock.Add(time.Duration(i/4) * time.Minute) // in several minutes
	}
	pass(w, 30*day-time.Hour)
	w.Before("IsStored", func() { w.Clock.Add(8 * time.Second) }) // a storage that is slow
	w.Clock.Add(2 * time.Hour)
	report := w.Tick()
	require.True(t, report.Unfinished)
	require.Positive(t, rotation(w).Due)
	require.LessOrEqual(t, rotation(w).Due, 8-report.Rotated, "the least that waits: its time is up")
	w.Before("IsStored", nil)
	w.Clock.Add(time.Minute)
	w.Tick()
	require.Zero(t, rotation(w).Due)
}

func TestAKeyThatIsDueWithEveryTickIsOnTheBoardOnce(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Tick()
	w.Fail("IsStored", errors.New("storage fails"))
	_, err := w.Session().Versions().Transition(t.Context(), "k", engine.Operation{Op: lifecycle.ReportCompromise, Version: 1, Code: "key_compromise"})
	require.NoError(t, err)
	for range 3 {
		w.Clock.Add(time.Minute)
		w.Tick()
		require.LessOrEqual(t, rotation(w).Due, 1)
	}
	require.Equal(t, 1, rotation(w).Alerting["stopped"])
	w.Fail("IsStored", nil)
	w.Clock.Add(10 * time.Minute)
	w.Tick()
	require.Zero(t, rotation(w).Due)
	require.Zero(t, rotation(w).Alerting["stopped"])
}

// byHand is a world whose keys an operator rotates every ninety days.
func byHand(t testing.TB) *enginetest.World {
	return rotating(t, func(d *policy.Document) { d.RotationMode, d.RotationPeriod = policy.Manual, span(t, "90d") })
}

func TestTheBoardNamesTheKeysThatAlertForLongest(t *testing.T) {
	w := rotating(t, func(d *policy.Document) { d.RotationMode, d.RotationPeriod = policy.Manual, span(t, "4d") })
	for i := range 120 {
		w.Create(fmt.Sprintf("k%03d", i), "p")
		w.Clock.Add(time.Minute)
	}
	pass(w, day)
	require.Equal(t, map[string]int{"retrying": 0, "stalled": 0, "overdue": 0, "ending": 0, "stopped": 0}, rotation(w).Alerting)
	pass(w, day+3*time.Hour)
	require.Equal(t, 120, rotation(w).Alerting["ending"], "half of the four days have passed")
	pass(w, 2*day+3*time.Hour)
	r := rotation(w)
	require.Equal(t, 120, r.Alerting["overdue"])
	require.Zero(t, r.Alerting["ending"])
	require.Len(t, r.Alerts, observe.MaxAlerts)
	require.Equal(t, 20, r.Hidden)
	for i, alert := range r.Alerts {
		require.Equal(t, observe.Alert{Key: fmt.Sprintf("k%03d", i), Status: "overdue", Since: w.Stored(fmt.Sprintf("k%03d", i)).Alerts[0].Since}, alert)
	}
	w.Rotate("k000")
	w.Tick()
	require.Equal(t, "k001", rotation(w).Alerts[0].Key)
}

func TestAnEndThatIsNearIsToldOnceAndWithoutATickInVain(t *testing.T) {
	w := byHand(t)
	w.Create("k", "p")
	require.Equal(t, enginetest.Start.Add(60*day), w.Stored("k").Due, "when the end comes near")
	pass(w, 60*day+time.Hour)
	require.True(t, w.Stored("k").Alerts.Has(lifecycle.Ending))
	require.True(t, w.Logged("key is near an end that nobody automates: key=k"))
	w.Calls()
	pass(w, 20*day)
	require.Zero(t, w.Calls()["UpdateKey"])
	w.Rotate("k")
	require.Empty(t, w.Stored("k").Alerts)
	s, err := w.ByClock().Status(t.Context())
	require.NoError(t, err)
	require.Empty(t, s.Ending)
}

// TestTheKeysOfAnEarlierReleaseBecomeEndingByTheSweep is about records that say nothing of an end that is near.
func TestTheKeysOfAnEarlierReleaseBecomeEndingByTheSweep(t *testing.T) {
	w := byHand(t)
	w.Create("k", "p")
	w.Alter("k", func(k *lifecycle.Key) { k.Due = enginetest.Start.Add(90 * day) })
	w.Restart()
	w.Tick()
	require.Equal(t, enginetest.Start.Add(60*day), w.Stored("k").Due)
	pass(w, 61*day)
	w.Alter("k", func(k *lifecycle.Key) { k.Alerts, k.Due = nil, enginetest.Start.Add(90*day) })
	w.Restart()
	w.Tick()
	require.True(t, w.Stored("k").Alerts.Has(lifecycle.Ending))
	require.Equal(t, 1, rotationAfter(w).Alerting["ending"])
}

// rotationAfter is what the board has after another tick.
func rotationAfter(w *enginetest.World) observe.Rotation {
	w.Clock.Add(time.Minute)
	w.Tick()
	return rotation(w)
}

func TestABoardThatCannotBeWorkedOutStaysAndTheTickSaysSo(t *testing.T) {
	w := byHand(t)
	w.Create("k", "p")
	pass(w, 91*day)
	before := rotation(w)
	require.Equal(t, 1, before.Alerting["overdue"])
	w.Fail("Alerts stalled", errors.New("storage fails"))
	w.Clock.Add(time.Minute)
	_, err := w.ByClock().Tick(context.Background())
	require.ErrorContains(t, err, "storage fails")
	require.Equal(t, before, rotation(w))
}

// TestATickInWhichNothingIsDueListsTheAlertsAndNothingMore counts what the board costs.
func TestATickInWhichNothingIsDueListsTheAlertsAndNothingMore(t *testing.T) {
	w := rotating(t, nil)
	w.Create("k", "p")
	pass(w, 2*time.Hour)
	w.Calls()
	for range 60 {
		w.Clock.Add(time.Minute)
		w.Tick()
	}
	calls := w.Calls()
	require.Equal(t, 60*len(lifecycle.AlertStatuses())+len(lifecycle.AlertStatuses()), calls["Alerts"], "a call a status, and once more where a round of the sweep begins")
	require.Equal(t, 1, calls["SaveCensus"], "once an hour")
	require.Zero(t, calls["Census"], "it is read once a process")
	require.Equal(t, 1, calls["LookAt"]+calls["Key"], "the one look of the sweep, which is the census's, too")
}
