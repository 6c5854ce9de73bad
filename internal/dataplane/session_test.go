// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// limited is a world with key k that may encrypt so often with one version.
func limited(t testing.TB, encryptions int64, onLimit policy.OnLimit) *enginetest.World {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.MaxEncryptions, d.OnLimit = encryptions, onLimit })
	w.Create("k", "p")
	return w
}

func suspend(t testing.TB, w *enginetest.World) {
	_, err := w.Session().Versions().Transition(context.Background(), "k", engine.Operation{Op: lifecycle.Suspend})
	require.NoError(t, err)
}

func TestUsingAKeyInUseCostsNoStorageCall(t *testing.T) {
	for name, w := range map[string]*enginetest.World{
		"free": func() *enginetest.World { w := enginetest.New(t); w.Create("k", ""); return w }(), "limited": limited(t, 1<<30, policy.OnLimitRotate),
	} {
		text := w.Encrypt("k", "x").Text
		w.Calls()
		_, before := w.Token.Calls()
		for range 10 {
			w.Encrypt("k", "x")
			w.Decrypt("k", text)
			_, err := w.Data().Rewrap(t.Context(), "k", []dataplane.Item{{Text: text}})
			require.NoError(t, err)
		}
		require.Empty(t, w.Calls(), name)
		_, after := w.Token.Calls()
		require.Equal(t, before, after, name)
	}
}

// TestUsingAKeyAllocatesLittle holds the number that was measured: the outcomes, the text, and what the cipher needs.
func TestUsingAKeyAllocatesLittle(t *testing.T) {
	racetest.Skip(t, "the race detector allocates, too")
	w := limited(t, 1<<40, policy.OnLimitRotate)
	text := w.Encrypt("k", "x").Text
	s, ctx := w.Data(), t.Context()
	plain, sealed := []dataplane.Item{{Text: enginetest.Text("x")}}, []dataplane.Item{{Text: text}}
	for name, c := range map[string]struct {
		most float64
		do   func() error
	}{
		"encrypt": {3, func() error { _, err := s.Encrypt(ctx, "k", plain); return err }},
		"decrypt": {3, func() error { _, err := s.Decrypt(ctx, "k", sealed); return err }},
	} {
		got := testing.AllocsPerRun(1000, func() {
			if c.do() != nil {
				t.Error(name)
			}
		})
		require.LessOrEqual(t, got, c.most, name)
	}
}

func TestManyCallersOfAColdCipherCauseOneUnwrap(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Create("other", "")
	text := w.Encrypt("k", "x").Text
	w.Restart()
	_, before := w.Token.Calls()
	begun, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	w.Token.Before(func() {
		if first.CompareAndSwap(false, true) {
			close(begun)
			<-release
		}
	})
	var all sync.WaitGroup
	var asked atomic.Int32
	for range 32 {
		all.Go(func() {
			asked.Add(1)
			assert.Equal(t, enginetest.Text("x"), w.Decrypt("k", text).Text)
		})
	}
	<-begun
	for i := 0; i < 10_000 || asked.Load() < 32; i++ { // so that the others are in it, as far as can be seen
		runtime.Gosched()
	}
	require.NoError(t, w.Encrypt("other", "y").Err, "an unwrap that takes long holds up no other key")
	close(release)
	all.Wait()
	_, after := w.Token.Calls()
	require.Equal(t, before+2, after)
}

func TestARequestFollowsAKeyThatIsMadeAnewUnderIt(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Restart()
	anew := func() {
		w.Before("Version", nil)
		allowed := true
		_, _, err := w.Session().Keys().Configure(t.Context(), "k", lifecycle.ConfigChange{DeletionAllowed: &allowed}, engine.Precondition{})
		require.NoError(t, err)
		require.NoError(t, w.Session().Keys().Delete(t.Context(), "k", engine.Precondition{}))
		w.Create("k", "")
	}
	w.Before("Version", anew)
	require.NoError(t, w.Encrypt("k", "x").Err)
}

func TestWhatIsCountedIsLeasedBeforeItLeaves(t *testing.T) {
	w := limited(t, 1<<20, policy.OnLimitRotate)
	w.Fail("Lease", errors.New("storage fails"))
	_, err := w.Data().Encrypt(t.Context(), "k", []dataplane.Item{{Text: enginetest.Text("x")}})
	require.ErrorContains(t, err, "storage fails", "the request ends")
	w.Fail("Lease", nil)
	require.NoError(t, w.Encrypt("k", "x").Err)
	used, err := w.Data().Used(t.Context(), "k", 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, used.Encryptions)
}

func TestAVersionThatReachesItsLimitHasASuccessorWhichNobodyAskedFor(t *testing.T) {
	w := limited(t, 100, policy.OnLimitRotate)
	for range 90 { // the last tenth is beyond the limit, for what has no successor
		require.Equal(t, 1, w.Encrypt("k", "x").Version)
	}
	w.Acts()
	for w.Encrypt("k", "x").Version == 1 {
	}
	acts := w.Acts()
	require.Len(t, acts, 1)
	require.Equal(t, "rotate", acts[0].Act)
	require.True(t, acts[0].System)
}

func TestCallersThatReachALimitTogetherGetOneSuccessor(t *testing.T) {
	w := limited(t, 64, policy.OnLimitRotate)
	w.AtOnce()
	var all sync.WaitGroup
	for range 80 {
		all.Go(func() { assert.NoError(t, w.Encrypt("k", "x").Err) })
	}
	all.Wait()
	require.Equal(t, 2, w.Stored("k").Latest)
}

func TestAVersionWithoutASuccessorIsRefusedAtTheHardLimit(t *testing.T) {
	w := limited(t, 90, policy.OnLimitRotate)
	w.Fail("IsStored", errors.New("storage fails")) // so that no version can be made
	var err error
	n := 0
	for ; err == nil; n++ {
		err = w.Encrypt("k", "x").Err
	}
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.Equal(t, 100, n-1)
}

func TestADeniedUseCountsWhereTheVersionMadeTheCiphertext(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	text := w.Encrypt("k", "x").Text
	w.Rotate("k")
	_, err := w.Session().Versions().Transition(t.Context(), "k", engine.Operation{Op: lifecycle.Archive, Version: 1})
	require.NoError(t, err)
	forged := text[:len(text)-8] + "AAAAAAA="
	require.ErrorIs(t, w.Decrypt("k", forged).Err, refusal.ErrDenied)
	require.Empty(t, w.Plane.DeniedKeys())
	require.ErrorIs(t, w.Decrypt("k", text).Err, refusal.ErrDenied)
	require.Equal(t, []string{"k"}, w.Plane.DeniedKeys())

	w.Fail("AddDenied", errors.New("storage fails"))
	require.Error(t, w.Data().StoreDenied(t.Context(), "k"))
	denied, err := w.Data().DeniedUses(t.Context(), w.Stored("k"), 1)
	require.NoError(t, err)
	require.Equal(t, 1, denied[1].Count, "it stays counted")
	w.Fail("AddDenied", nil)
	require.NoError(t, w.Data().StoreDenied(t.Context(), "k"))
	require.Empty(t, w.Plane.DeniedKeys())
	denied, err = w.Data().DeniedUses(t.Context(), w.Stored("k"), 1)
	require.NoError(t, err)
	require.Equal(t, 1, denied[1].Count)
}

func TestASuspendedKeyProtectsNothing(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Encrypt("k", "x")
	suspend(t, w)
	require.ErrorIs(t, w.Encrypt("k", "x").Err, refusal.ErrRefused)
}

func TestEncryptingMakesAKeyUnlessSettingsForbidIt(t *testing.T) {
	w := enginetest.New(t)
	spec, items := lifecycle.Key{Name: "k", Type: keytype.Default}, []dataplane.Item{{Text: enginetest.Text("x")}}
	w.DisableUpserts(true)
	_, _, err := w.Data().EncryptOrCreate(t.Context(), spec, items)
	require.ErrorIs(t, err, refusal.ErrNotFound)
	w.DisableUpserts(false)
	outcomes, created, err := w.Data().EncryptOrCreate(t.Context(), spec, items)
	require.NoError(t, err)
	require.True(t, created)
	require.NoError(t, outcomes[0].Err)
}

// TestATokenThatIsAwayIsAFaultThatPasses is about an HSM: what is in memory goes on, and nothing is remembered of a failure.
func TestATokenThatIsAwayIsAFaultThatPasses(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	text := w.Encrypt("k", "x").Text
	w.Token.Away(envelope.ErrUnavailable)
	require.NoError(t, w.Decrypt("k", text).Err)
	w.Restart()
	err := w.Decrypt("k", text).Err
	require.ErrorIs(t, err, dataplane.ErrFault)
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	w.Token.Away(nil)
	require.NoError(t, w.Decrypt("k", text).Err)
}

func TestWhatIsForgottenIsReadAnew(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(*policy.Document) {})
	w.Create("k", "p")
	w.Encrypt("k", "x")
	w.Calls()
	w.Plane.ForgetKey("k")
	w.Encrypt("k", "x")
	require.Equal(t, map[string]int{"Key": 1, "Version": 1}, w.Calls())
	w.Plane.ForgetPolicy("p")
	w.Encrypt("k", "x")
	require.Equal(t, map[string]int{"Policy": 1}, w.Calls())
	w.Plane.DisableCache()
	w.Encrypt("k", "x")
	w.Encrypt("k", "x")
	require.Equal(t, map[string]int{"Key": 2, "Version": 2, "Policy": 2}, w.Calls())
}

func TestAClockThatIsBehindDatesByTheLatestTimeItHasShown(t *testing.T) {
	w := enginetest.New(t)
	require.Equal(t, enginetest.Start, w.Plane.Latest())
	high := enginetest.Start.Add(time.Hour)
	w.Plane.SetClock(lifecycle.Clock{High: high})
	require.Equal(t, high, w.Plane.Latest())
}
