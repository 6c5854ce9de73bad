// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

func drill(w *enginetest.World, in engine.Drilling) (engine.Drilled, error) {
	return w.Session().Versions().Drill(w.T.Context(), "k", in)
}

// drilled is a world with key k of three versions under policy p.
func drilled(t *testing.T, edit func(d *policy.Document)) *enginetest.World {
	w := enginetest.New(t)
	w.Policy("p", edit)
	w.Create("k", "p")
	w.Rotate("k")
	w.Rotate("k")
	w.Acts()
	w.Calls()
	return w
}

func asItIs(*policy.Document) {}

// TestADrillIsWhatTheReportThenDoes: the same world, drilled and then reported, gets the same dates and the same successor.
func TestADrillIsWhatTheReportThenDoes(t *testing.T) {
	w := drilled(t, asItIs)
	got, err := drill(w, engine.Drilling{})
	require.NoError(t, err)
	require.Empty(t, got.Obstacles)
	require.Equal(t, 3, got.Version)
	when := map[string]time.Time{}
	for _, step := range got.Steps {
		require.False(t, step.Refused, step.Why)
		when[step.Act] = step.At
	}

	require.NoError(t, do(w, lifecycle.ReportCompromise, 3))
	require.Equal(t, w.Stored("k").Primary, got.Successor)
	require.Equal(t, 4, got.Successor)
	w.Clock.Add(when["retire"].Sub(w.Clock.Now()) - time.Second)
	require.ErrorIs(t, do(w, lifecycle.Retire, 3), refusal.ErrRefused)
	w.Clock.Add(time.Second)
	require.NoError(t, do(w, lifecycle.Retire, 3))
	require.Equal(t, when["destroy"], w.Stored("k").Override(3).DestroyAt)
}

func TestADrillWritesNothing(t *testing.T) {
	w := drilled(t, asItIs)
	before := w.Stored("k")
	_, err := drill(w, engine.Drilling{Version: 2})
	require.NoError(t, err)
	require.Equal(t, before, w.Stored("k"))
	require.Empty(t, w.Acts())
	require.Zero(t, w.Calls()["UpdateKey"])
}

func TestADrillThatIsKeptChangesNothingButItsDate(t *testing.T) {
	w := drilled(t, asItIs)
	before := w.Stored("k")
	w.Clock.Add(time.Hour)
	got, err := drill(w, engine.Drilling{Record: true, Reason: "yearly"})
	require.NoError(t, err)
	after := w.Stored("k")
	require.Equal(t, w.Clock.Now(), after.LastDrill)
	require.Equal(t, after.LastDrill, got.Last)
	after.LastDrill = before.LastDrill
	require.Equal(t, before, after)

	kept := w.Acts()
	require.Len(t, kept, 1)
	event := kept[0].Event
	require.Equal(t, "drill", event.Act)
	require.Empty(t, event.Versions, "a drill is no change of a version")
	require.Equal(t, "yearly", event.Reason)
	require.Equal(t, "p", event.Policy)
	require.Equal(t, "3", event.Details["version"])
	require.Equal(t, "4", event.Details["successor_version"])
	require.Equal(t, "0", event.Details["obstacles"])
	require.NotEmpty(t, event.Details["destroy"])
}

func TestObstaclesAreWhatTheRealThingWouldMeet(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(w *enginetest.World) error
		act    string
		why    string
	}{
		{"a reason is demanded", func(w *enginetest.World) error {
			w.Policy("p", func(d *policy.Document) { d.RequireReason = []string{"compromise"} })
			return nil
		}, "compromise", "demands a reason"},
		{"a legal hold", func(w *enginetest.World) error {
			_, err := w.Session().Versions().Hold(w.T.Context(), "k", true, engine.Precondition{})
			return err
		}, "retire", "legal hold"},
		{"the policy denies the type", func(w *enginetest.World) error {
			w.Policy("p", func(d *policy.Document) { d.AllowedTypes = []keytype.Type{keytype.ChaCha20Poly1305} })
			return nil
		}, "rotate", "allowed_types"},
		{"the HSM is away", func(w *enginetest.World) error { w.Token.Away(errors.New("no token in slot 3")); return nil }, "rotate", "no token in slot 3"},
		{"there is no HSM", func(w *enginetest.World) error {
			w.Policy("p", func(d *policy.Document) { d.HSM = policy.Required })
			return nil
		}, "rotate", "no HSM is configured"},
		{"the floor is above", func(w *enginetest.World) error {
			three := 3
			_, _, err := w.Session().Keys().Configure(w.T.Context(), "k", lifecycle.ConfigChange{MinDecryption: &three}, engine.Precondition{})
			return err
		}, "rewrap", "too old"},
		{"it is out of use", func(w *enginetest.World) error { return do(w, lifecycle.Archive, 2) }, "rewrap", "version 2 is compromised"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := drilled(t, func(d *policy.Document) { d.MinVersionsKept = 0 })
			of := 2
			if c.act == "rotate" {
				of = 3
			}
			got, err := drill(w, engine.Drilling{Version: of})
			require.NoError(t, err)
			require.Empty(t, got.Obstacles)
			require.NoError(t, c.change(w))
			got, err = drill(w, engine.Drilling{Version: of})
			require.NoError(t, err)
			require.NotEmpty(t, got.Obstacles)
			require.Equal(t, c.act, got.Obstacles[0].Act)
			require.Contains(t, got.Obstacles[0].Why, c.why)
			for _, other := range got.Obstacles[1:] { // where nothing takes over, nothing is encrypted anew
				require.Equal(t, "rewrap", other.Act)
				require.Contains(t, other.Why, "cannot encrypt")
			}
		})
	}
}

func TestTheBlastRadiusIsWhatIsReadableBesideIt(t *testing.T) {
	w := drilled(t, func(d *policy.Document) { d.MaxEncryptions = 1000 })
	start := w.Clock.Now()
	w.Clock.Add(time.Hour)
	w.Rotate("k")
	w.Encrypt("k", "text")
	w.Clock.Add(time.Hour)
	got, err := drill(w, engine.Drilling{Version: 3, Occurred: start.Add(90 * time.Minute)})
	require.NoError(t, err)
	require.Zero(t, got.Successor, "it is not the active one")
	require.Len(t, got.Radius, 4)
	require.Equal(t, []bool{true, false, false, false}, []bool{got.Radius[0].Since, got.Radius[1].Since, got.Radius[2].Since, got.Radius[3].Since})
	require.EqualValues(t, 1, got.Radius[0].Used.Encryptions)
	require.Equal(t, lifecycle.Deactivated, got.Radius[1].State, "as it is, and not as the drill has it")
	require.Equal(t, start.Add(time.Hour), got.Radius[1].Until)
	got, err = drill(w, engine.Drilling{Version: 3})
	require.NoError(t, err)
	require.True(t, got.Radius[3].Since, "nobody knows since when")
}

func TestWhatCannotBeReportedCannotBeDrilled(t *testing.T) {
	w := drilled(t, asItIs)
	_, err := drill(w, engine.Drilling{Version: 4})
	require.ErrorIs(t, err, refusal.ErrInvalid)
	_, err = drill(w, engine.Drilling{Occurred: w.Clock.Now().Add(time.Second)})
	require.ErrorIs(t, err, refusal.ErrInvalid)
	require.NoError(t, do(w, lifecycle.ReportCompromise, 1))
	_, err = drill(w, engine.Drilling{Version: 1})
	require.ErrorIs(t, err, refusal.ErrRefused)
	_, err = w.Session().Versions().Drill(t.Context(), "other", engine.Drilling{})
	require.ErrorIs(t, err, refusal.ErrNotFound)
}
