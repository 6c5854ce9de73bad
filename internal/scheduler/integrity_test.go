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
)

// scrubbed is a world with key k of so many versions, of which a tick looks at most at so many. No round has begun.
func scrubbed(t *testing.T, versions, most int) *enginetest.World {
	w := enginetest.New(t)
	w.Create("k", "")
	for range versions - 1 {
		w.Rotate("k")
	}
	w.Scheduler.SetScrub(most)
	return w
}

// nextRound lets the time of a round go by, and runs so many ticks.
func nextRound(w *enginetest.World, ticks int) observe.Scrub {
	w.Clock.Add(time.Hour)
	for range ticks {
		w.Clock.Add(time.Minute)
		w.Tick()
	}
	return w.Observe.Board.Scrub.Get()
}

func unwraps(w *enginetest.World) int {
	_, n := w.Token.Calls()
	return n
}

func TestAScrubOpensEachVersionOnceARoundSoManyATick(t *testing.T) {
	w := scrubbed(t, 20, 8)
	before := unwraps(w)
	for _, want := range []int{8, 16, 20, 20} {
		w.Tick()
		require.Equal(t, want, unwraps(w)-before)
		require.Equal(t, want < 20, w.Observe.Board.Scrub.Get().Round.IsZero(), "a round ends with its last version")
		w.Clock.Add(time.Minute)
	}
	ended := w.Observe.Board.Scrub.Get().Round
	require.True(t, nextRound(w, 3).Round.After(ended))
	require.Equal(t, 40, unwraps(w)-before)

	w.Scheduler.SetScrub(0)
	nextRound(w, 3)
	require.Equal(t, 40, unwraps(w)-before)
}

func TestADamagedVersionIsFoundCountedLoggedAndKeptUntilALaterRoundFindsItWell(t *testing.T) {
	for name, damage := range map[string]func(v *lifecycle.Version){
		"missing: its stored":   nil,
		"missing: no material":  func(v *lifecycle.Version) { v.Sealed = nil },
		"damaged: not readable": func(v *lifecycle.Version) { v.Sealed = []byte("what is this") },
		"damaged: fingerprint":  func(v *lifecycle.Version) { v.Fingerprint = "0f1e2d3c4b5a69788796a5b4c3d2e1f0" },
		"damaged: of another":   func(v *lifecycle.Version) { v.KeyID = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			w := scrubbed(t, 3, 8)
			var was lifecycle.Version
			w.Damage("k", 2, func(v *lifecycle.Version) { was = *v })
			w.Damage("k", 2, damage)
			found := nextRound(w, 1)
			require.Len(t, found.Failures, 1)
			require.Equal(t, "k", found.Failures[0].Key)
			require.Equal(t, 2, found.Failures[0].Version)
			require.Contains(t, found.Failures[0].Why, name[:len("missing:")])
			require.EqualValues(t, 1, w.Observe.IntegrityFailures.Load())
			require.True(t, w.Logged("a stored version is damaged: key=k version=2"))

			again := nextRound(w, 1)
			require.Equal(t, found.Failures, again.Failures, "since the first time")
			require.EqualValues(t, 2, w.Observe.IntegrityFailures.Load())

			w.Damage("k", 2, func(v *lifecycle.Version) { *v = was })
			require.Empty(t, nextRound(w, 1).Failures)
		})
	}
}

func TestAWrapperThatIsAwayIsNoFailure(t *testing.T) {
	w := scrubbed(t, 3, 8)
	w.Token.Away(fmt.Errorf("%w: unplugged", envelope.ErrUnavailable))
	before := unwraps(w)
	require.Zero(t, nextRound(w, 1).Round)
	require.Equal(t, 1, unwraps(w)-before, "it is asked once")
	found := nextRound(w, 3)
	require.False(t, found.Round.IsZero(), "a version that nobody can tell of holds up no round")
	require.Equal(t, 3, found.PassedOver)
	require.Empty(t, found.Failures)
	require.Zero(t, w.Observe.IntegrityFailures.Load())

	w.Token.Away(nil)
	require.Zero(t, nextRound(w, 2).PassedOver)
}

func TestAFailureStaysWhereALaterRoundCouldNotLook(t *testing.T) {
	w := scrubbed(t, 2, 8)
	w.Damage("k", 2, func(v *lifecycle.Version) { v.Fingerprint = "another" })
	require.Len(t, nextRound(w, 1).Failures, 1)
	w.Token.Away(fmt.Errorf("%w: unplugged", envelope.ErrUnavailable))
	found := nextRound(w, 3)
	require.Positive(t, found.PassedOver)
	require.Len(t, found.Failures, 1)
}

func TestEachChainIsInspectedOnceARoundAndThatOfTheMountOnceAnHour(t *testing.T) {
	w := enginetest.New(t)
	for i := range 20 {
		w.Create(fmt.Sprintf("k%02d", i), "")
	}
	w.Scheduler.SetScrub(8)
	w.Calls()
	for i, want := range []int{9, 8, 4, 0} { // with the mount's, first
		w.Tick()
		require.Equal(t, want, w.Calls()["InspectJournal"], "tick %d", i)
		w.Clock.Add(time.Minute)
	}
	w.Break("k07", "its end is lost")
	nextRound(w, 3)
	require.True(t, w.Logged(`a chain of custody is broken: chain=k07 problem="its end is lost"`))
}

func TestAChainThatCannotBeReadIsPassedOver(t *testing.T) {
	w := scrubbed(t, 1, 8)
	w.Fail("InspectJournal k", errors.New("storage is away"))
	require.Equal(t, 1, nextRound(w, 1).PassedOver)
}

func TestAProcessBeginsWithAnotherKeyThanTheOneBefore(t *testing.T) {
	w := enginetest.New(t)
	for i := range 5 {
		w.Create(fmt.Sprintf("k%d", i), "")
	}
	first := map[string]bool{}
	for range 5 {
		w.Restart()
		w.Scheduler.SetScrub(1)
		name := ""
		for i := range 5 {
			w.Before(fmt.Sprintf("InspectJournal k%d", i), func() { name = fmt.Sprintf("k%d", i) })
		}
		w.Tick()
		first[name] = true
		w.Clock.Add(time.Minute)
	}
	require.Len(t, first, 5)
}

// TestAKeyThatChangesWhileItIsScrubbedIsLookedAtAgain: what was moved or erased meanwhile is not damaged.
func TestAKeyThatChangesWhileItIsScrubbedIsLookedAtAgain(t *testing.T) {
	w := scrubbed(t, 2, 8)
	done := false
	w.Before("Version", func() {
		if done {
			return
		}
		done = true
		_, err := w.Session().Versions().Transition(context.Background(), "k", engine.Operation{Op: lifecycle.Archive, Version: 1})
		require.NoError(t, err)
	})
	found := nextRound(w, 1)
	require.True(t, done)
	require.Empty(t, found.Failures)
}
