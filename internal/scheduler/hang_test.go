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
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// hang makes the token answer nobody: each call ends when its caller stops waiting, which takes all the time until then. It
// returns how often it was called.
func hang(w *enginetest.World) (calls *int) {
	calls = new(int)
	w.Token.Hang(func(ctx context.Context) error {
		*calls++
		deadline, bounded := ctx.Deadline()
		if !bounded {
			return errors.New("nobody would ever give up")
		}
		w.Clock.Add(time.Until(deadline))
		return context.DeadlineExceeded
	})
	return calls
}

// TestATokenThatHangsStarvesNoTick is about an HSM that answers nobody while very many keys are due.
func TestATokenThatHangsStarvesNoTick(t *testing.T) {
	keys := 100 + racetest.Size(t, 900)
	for name, checks := range map[string][]string{"wrapping hangs": nil, "the check of the wrapper hangs": {"hsm_healthy", "clock_sane"}} {
		t.Run(name, func(t *testing.T) {
			w := rotating(t, func(d *policy.Document) { d.PreChecks, d.PostChecks = checks, nil })
			for i := range keys {
				w.Create(fmt.Sprintf("k%04d", i), "p")
			}
			w.Create("free", "")
			w.Clock.Add(30*day + time.Hour)
			calls := hang(w)
			w.Acts()
			w.Calls()
			began := w.Clock.Now()
			report := w.Tick()
			require.Less(t, w.Clock.Now().Sub(began), 20*time.Second)
			require.Equal(t, keys, report.Deferred)
			require.Zero(t, report.Failed)
			require.True(t, report.Unfinished)
			require.Equal(t, 1, *calls, "for all keys")
			require.Empty(t, w.Acts())
			require.Zero(t, w.Calls()["UpdateKey"], "nothing is written for a key that waits")
			require.Zero(t, w.Stored("k0000").Rotation.Failures)
			require.True(t, w.Logged("deferred: keys wait"))
			s, err := w.ByClock().Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, keys, s.Due)
			require.Equal(t, keys, s.Deferred)

			w.Token.Hang(nil)
			w.Clock.Add(time.Minute)
			report = w.Tick()
			require.Equal(t, keys, report.Rotated)
			require.Zero(t, report.Deferred)
			require.Equal(t, 2, w.Stored(fmt.Sprintf("k%04d", keys-1)).Latest)
		})
	}
}

// TestAPolicyThatDemandsAnHSMWaitsForIt is about an HSM that is there and away: none is missing.
func TestAPolicyThatDemandsAnHSMWaitsForIt(t *testing.T) {
	w := rotating(t, func(d *policy.Document) { d.HSM, d.PreChecks, d.PostChecks = policy.Required, nil, nil })
	w.Token.SetHardware(true)
	w.Create("a", "p")
	w.Create("b", "p")
	w.Clock.Add(30*day + time.Hour)
	hang(w)
	report := w.Tick()
	require.Equal(t, []int{2, 0}, []int{report.Deferred, report.Failed})
	require.Zero(t, w.Stored("b").Rotation.Failures)
	w.Token.Hang(nil)
	w.Clock.Add(time.Minute)
	require.Equal(t, 2, w.Tick().Rotated)
	w.Token.SetHardware(false)
	w.Clock.Add(30*day + time.Hour)
	require.Equal(t, 2, w.Tick().Failed, "no HSM is configured any more")
}

// TestTheWrapperIsProbedOnceATick is about a check that says the same of all keys.
func TestTheWrapperIsProbedOnceATick(t *testing.T) {
	const keys = 10
	w := rotating(t, func(d *policy.Document) { d.PreChecks, d.PostChecks = []string{"hsm_healthy", "clock_sane"}, nil })
	for i := range keys {
		w.Create(fmt.Sprintf("k%d", i), "p")
	}
	pass(w, 30*day-time.Hour)
	w.Clock.Add(2 * time.Hour)
	wraps, unwraps := w.Token.Calls()
	w.Calls()
	require.Equal(t, keys, w.Tick().Rotated)
	nowWraps, nowUnwraps := w.Token.Calls()
	require.Equal(t, []int{keys + 1, keys + 1}, []int{nowWraps - wraps, nowUnwraps - unwraps})
	require.Equal(t, 1, w.Calls()["Clock"], "that of the clock guard")
}

// TestWhatNeedsNoWrapperGoesOnWhileOneHangs is about erasing, which must not wait for an HSM, beside archiving, which has to.
func TestWhatNeedsNoWrapperGoesOnWhileOneHangs(t *testing.T) {
	w := enginetest.New(t)
	for _, name := range []string{"archived", "erased"} {
		w.Create(name, "")
		w.Rotate(name)
	}
	w.Fail("PutArchived", errors.New("disk full"))
	_, err := w.Session().Versions().Transition(t.Context(), "archived", engine.Operation{Op: lifecycle.Archive, Version: 1})
	require.NoError(t, err)
	w.Fail("PutArchived", nil)
	two := 2
	_, _, err = w.Session().Keys().Configure(t.Context(), "erased", lifecycle.ConfigChange{MinDecryption: &two, MinEncryption: &two}, engine.Precondition{})
	require.NoError(t, err)
	w.Fail("PutVersion", errors.New("disk full"))
	_, err = w.Session().Versions().Trim(t.Context(), "erased", 2, engine.Precondition{})
	require.NoError(t, err)
	w.Fail("PutVersion", nil)

	calls := hang(w)
	report := w.Tick()
	require.Equal(t, 1, *calls)
	require.Equal(t, 1, report.Deferred)
	require.Equal(t, 1, report.Relocated)
	inUse, _, _ := w.StoredVersion("erased", 1)
	require.Empty(t, inUse)
	w.Token.Hang(nil)
	require.Equal(t, 1, w.Tick().Relocated)
	_, archived, _ := w.StoredVersion("archived", 1)
	require.NotEmpty(t, archived)
}

// TestChecksOfAPromotedVersionWaitForAWrapperThatIsAway is about a tick that comes to checks which a request had to leave.
func TestChecksOfAPromotedVersionWaitForAWrapperThatIsAway(t *testing.T) {
	w := rotating(t, func(d *policy.Document) { d.PostChecks = []string{"round_trip"} })
	w.Create("k", "p")
	w.Before("UpdateKey", func() { w.Token.Away(envelope.ErrUnavailable) })
	w.Rotate("k")
	require.Equal(t, 2, w.Stored("k").Primary)
	w.Clock.Add(time.Minute)
	require.Equal(t, 1, w.Tick().Deferred)
	require.True(t, w.Stored("k").Rotation.ChecksPending)
	w.Before("UpdateKey", nil)
	w.Token.Away(nil)
	w.Clock.Add(time.Minute)
	require.Zero(t, w.Tick().RolledBack)
	require.False(t, w.Stored("k").Rotation.ChecksPending)
	require.Equal(t, 2, w.Stored("k").Primary)
}
