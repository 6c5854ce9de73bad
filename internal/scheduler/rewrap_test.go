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
)

const online, archive = envelope.PurposeOnline, envelope.PurposeArchive

// manyVersions is a world of some keys with a few versions each, of which key k0 has its first in the archive, and a
// ciphertext of each key.
func manyVersions(t testing.TB, keys, versions int) (w *enginetest.World, texts map[string]string) {
	t.Helper()
	w, texts = enginetest.New(t), map[string]string{}
	for i := range keys {
		name := fmt.Sprintf("k%d", i)
		w.Create(name, "")
		texts[name] = w.Encrypt(name, name).Text
		for range versions - 1 {
			w.Rotate(name)
		}
	}
	if versions > 1 {
		_, err := w.Session().Versions().Transition(t.Context(), "k0", engine.Operation{Op: lifecycle.Archive, Version: 1})
		require.NoError(t, err)
	}
	w.Tick()
	return w, texts
}

// calls returns how often the token wrapped and unwrapped since the last time.
func calls(w *enginetest.World) func() (wraps, unwraps int) {
	beforeWraps, beforeUnwraps := w.Token.Calls()
	return func() (int, int) {
		wraps, unwraps := w.Token.Calls()
		defer func() { beforeWraps, beforeUnwraps = wraps, unwraps }()
		return wraps - beforeWraps, unwraps - beforeUnwraps
	}
}

// settle runs ticks until nothing is left to be wrapped anew.
func settle(t testing.TB, w *enginetest.World) {
	t.Helper()
	for range 30 {
		if len(w.Rewraps()) == 0 {
			return
		}
		w.Clock.Add(time.Minute)
		w.Tick()
	}
	require.Empty(t, w.Rewraps())
}

func TestAfterAChangeOfTheActiveKeyAllMaterialIsWrappedWithItForTwoCallsAVersion(t *testing.T) {
	w, texts := manyVersions(t, 4, 3)
	require.Equal(t, 12, w.References(0))
	count := calls(w)
	require.Zero(t, w.Tick().Rewrapped, "the active key has not changed")

	w.RotateKEK(1, false)
	require.Equal(t, 4, w.Rewraps()[online].Remaining)
	require.Equal(t, 1, w.Rewraps()[archive].Remaining)
	require.Equal(t, 12, w.Tick().Rewrapped)
	require.Equal(t, 11, w.Rewraps()[online].Done)
	require.Equal(t, 1, w.Rewraps()[archive].Done)
	settle(t, w)
	wraps, unwraps := count()
	require.Equal(t, []int{12, 12}, []int{wraps, unwraps})
	require.Zero(t, w.References(0))
	require.Equal(t, 12, w.References(1))
	require.True(t, w.Logged("all material of a purpose is wrapped with the active key encryption key"))

	w.Restart()
	_, err := w.Session().Versions().Transition(t.Context(), "k0", engine.Operation{Op: lifecycle.Recover, Version: 1})
	require.NoError(t, err)
	for name, text := range texts {
		require.Equal(t, enginetest.Text(name), w.Decrypt(name, text).Text)
	}
}

func TestTheWayBackIsTheSame(t *testing.T) {
	w, _ := manyVersions(t, 2, 2)
	w.RotateKEK(1, true)
	settle(t, w)
	w.RotateKEK(0, false)
	settle(t, w)
	require.Equal(t, []int{4, 0}, []int{w.References(0), w.References(1)})
}

func TestATickWrapsSomeAndTheNextGoesOnBehindThem(t *testing.T) {
	w, _ := manyVersions(t, 6, 2)
	w.RotateKEK(1, false)
	count := calls(w)
	w.Token.Before(func() { w.Clock.Add(2 * time.Second) }) // four seconds a version, ten a tick
	require.Equal(t, 3, w.Tick().Rewrapped)
	status := w.Rewraps()[online]
	require.Equal(t, "k1 1", fmt.Sprint(status.After, " ", status.Version), "version 1 of k0 is in the archive")
	require.Equal(t, 4, status.Remaining, "keys that it has not come to")
	w.Restart()
	done := 3
	for range 8 {
		done += w.Tick().Rewrapped
	}
	require.Equal(t, 12, done)
	wraps, unwraps := count()
	require.Equal(t, []int{12, 12}, []int{wraps, unwraps}, "nothing is done twice")
}

func TestTheProgressIsStoredEveryHundredVersions(t *testing.T) {
	w, _ := manyVersions(t, 1, 251)
	w.RotateKEK(1, false)
	w.Calls()
	require.Equal(t, 251, w.Tick().Rewrapped)
	require.Equal(t, 2+1+1, w.Calls()["SaveRewrap"], "250 versions in use and the end of the pass; the archive")
}

func TestAWrapperThatIsAwayStopsTheTickAndNothingIsForgotten(t *testing.T) {
	w, _ := manyVersions(t, 4, 2)
	w.RotateKEK(1, false)
	n := 0
	w.Token.Before(func() {
		if n++; n == 7 { // the unwrap of the fourth version
			w.Token.Away(fmt.Errorf("token: %w", envelope.ErrUnavailable))
		}
	})
	report := w.Tick()
	require.Equal(t, 3, report.Rewrapped, "one in the archive, two in use")
	status := w.Rewraps()[online]
	require.Equal(t, "k1 1", fmt.Sprint(status.After, " ", status.Version))
	require.Zero(t, status.Failed)
	require.Contains(t, status.Stopped, "token")
	require.True(t, w.Logged("wrapper is away; a later tick goes on"))
	count := calls(w)
	w.Tick()
	wraps, unwraps := count()
	require.Equal(t, []int{0, 1}, []int{wraps, unwraps}, "it is asked once a tick")

	w.Token.Before(nil)
	w.Token.Away(nil)
	w.Tick()
	require.Empty(t, w.Rewraps()[online].Stopped)
	settle(t, w)
	require.Zero(t, w.References(0))
}

func TestATokenThatDoesNotWrapStopsTheTickWhateverItSays(t *testing.T) {
	w, _ := manyVersions(t, 4, 1)
	w.RotateKEK(1, false)
	n := 0
	w.Token.Before(func() {
		if n++; n == 2 {
			w.Token.Away(errors.New("it refuses to wrap"))
		}
	})
	require.Zero(t, w.Tick().Rewrapped)
	require.Equal(t, 2, n)
	require.Zero(t, w.Rewraps()[online].Failed)
}

func TestAVersionThatCannotBeWrappedIsNamedAndStopsNoOther(t *testing.T) {
	w, _ := manyVersions(t, 3, 1)
	w.Leave("k1", 2) // no wrapper has made it
	w.RotateKEK(1, false)
	require.Equal(t, 3, w.Tick().Rewrapped)
	status := w.Rewraps()[online]
	require.Equal(t, 1, status.Failed)
	require.Equal(t, "k1", status.Failures[0].Key)
	require.Equal(t, 2, status.Failures[0].Version)
	require.NotEmpty(t, status.Failures[0].Why)

	pass(w, 30*time.Minute)
	require.Equal(t, 2, w.Rewraps()[online].Pass, "once more, and then not for an hour")
	require.Equal(t, 1, w.Rewraps()[online].Failed)
	n, complete, err := w.Session().Wrapping().References(t.Context(), enginetest.KEK(0))
	require.NoError(t, err)
	require.Zero(t, n)
	require.False(t, complete, "of one nobody knows")
	pass(w, time.Hour)
	require.Equal(t, 3, w.Rewraps()[online].Pass)
}

func TestWhatChangesWhileItIsWrappedIsLeftAndLookedAtAgain(t *testing.T) {
	w, _ := manyVersions(t, 2, 2)
	w.RotateKEK(1, false)
	w.Before("ReplaceSealed k1", func() {
		w.Before("ReplaceSealed k1", nil)
		_, err := w.Session().Versions().Transition(t.Context(), "k1", engine.Operation{Op: lifecycle.Archive, Version: 1})
		require.NoError(t, err)
	})
	require.Equal(t, 3, w.Tick().Rewrapped)
	inUse, archived, _ := w.StoredVersion("k1", 1)
	require.Empty(t, inUse, "it does not come back")
	require.NotEmpty(t, archived)
	settle(t, w)
	require.Zero(t, w.References(0))
}

func TestAKeyThatIsDeletedMeanwhileDoesNotComeBack(t *testing.T) {
	w, _ := manyVersions(t, 2, 1)
	allowed := true
	_, _, err := w.Session().Keys().Configure(t.Context(), "k1", lifecycle.ConfigChange{DeletionAllowed: &allowed}, engine.Precondition{})
	require.NoError(t, err)
	w.RotateKEK(1, false)
	w.Before("ReplaceSealed k1", func() { require.NoError(t, w.Session().Keys().Delete(t.Context(), "k1", engine.Precondition{})) })
	require.Equal(t, 1, w.Tick().Rewrapped)
	inUse, _, _ := w.StoredVersion("k1", 1)
	require.Empty(t, inUse)
	settle(t, w)
}

func TestASecondChangeBeginsAnew(t *testing.T) {
	w, _ := manyVersions(t, 4, 1)
	w.RotateKEK(1, false)
	w.Before("ReplaceSealed k2", func() { w.Before("ReplaceSealed k2", nil); w.RotateKEK(2, false) })
	w.Tick()
	require.Equal(t, enginetest.KEK(2), w.Rewraps()[online].KEK)
	settle(t, w)
	require.Equal(t, []int{0, 0, 4}, []int{w.References(0), w.References(1), w.References(2)})
}

func TestAChangeThatWasNotedAndNotMadeDoesNoHarm(t *testing.T) {
	w, _ := manyVersions(t, 2, 1)
	require.NoError(t, w.Session().Wrapping().BeginRewrap(t.Context(), online, enginetest.KEK(9)))
	count := calls(w)
	w.Tick()
	require.Equal(t, enginetest.KEK(9), w.Rewraps()[online].KEK, "it may still come")
	settle(t, w)
	wraps, unwraps := count()
	require.Zero(t, wraps+unwraps)
	require.Equal(t, 2, w.References(0))
}

func TestAChangeToAKeyThatIsNotNamedIsFollowedFiveMinutesLater(t *testing.T) {
	w, _ := manyVersions(t, 2, 1)
	require.NoError(t, w.Session().Wrapping().BeginRewrap(t.Context(), online, [16]byte{}))
	w.Token.Activate(1, false)
	require.Zero(t, w.Tick().Rewrapped)
	w.Clock.Add(5 * time.Minute)
	require.Equal(t, 2, w.Tick().Rewrapped)
	require.Equal(t, enginetest.KEK(1), w.Rewraps()[online].KEK)
	settle(t, w)
	require.Equal(t, 2, w.References(1))
}

func TestAWriterThatHadTheOldWrapperIsSeenByALaterPass(t *testing.T) {
	w, _ := manyVersions(t, 2, 1)
	w.RotateKEK(1, false)
	require.Equal(t, 2, w.Tick().Rewrapped)
	pass(w, 4*time.Minute)
	w.Tick()
	require.NotEmpty(t, w.Rewraps(), "though nothing is left, as far as one can see")
	w.Token.Activate(0, false) // a writer that was given the wrapper before, and comes back four minutes later
	w.Rotate("k0")
	w.Token.Activate(1, false)
	require.Equal(t, 1, w.References(0))
	settle(t, w)
	require.Zero(t, w.References(0))
}

func TestAKeyThatCannotBeReadIsNamedAndAPanicIsKept(t *testing.T) {
	w, _ := manyVersions(t, 3, 1)
	w.RotateKEK(1, false)
	w.Before("SealedVersions k0", func() { panic("boom") })
	w.Fail("Key k1", errors.New("storage fails"))
	report, err := w.ByClock().Tick(context.Background())
	require.NoError(t, err)
	require.Equal(t, 1, report.Rewrapped)
	status := w.Rewraps()[online]
	require.Equal(t, 2, status.Failed)
	require.Equal(t, "k1: storage fails", status.Failures[1].Key+": "+status.Failures[1].Why)
	w.Before("SealedVersions k0", nil)
	w.Fail("Key k1", nil)
	settle(t, w)
}
