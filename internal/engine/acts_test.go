// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// do is an operation on version n of key k.
func do(w *enginetest.World, op lifecycle.Op, n int) error {
	in := engine.Operation{Op: op, Version: n}
	if op == lifecycle.ReportCompromise {
		in.Code = "key_compromise"
	}
	_, err := w.Session().Versions().Transition(context.Background(), "k", in)
	return err
}

// TestAnActHasOneDate is about a clock that moves while an act runs: the fakes complain of a version with two dates.
func TestAnActHasOneDate(t *testing.T) {
	w := enginetest.New(t)
	w.Clock.Step = 1300 * time.Millisecond
	w.Policy("p", func(d *policy.Document) { d.PreChecks = []string{"hsm_healthy", "clock_sane"} })
	w.Create("k", "p")
	w.Rotate("k")
	require.NoError(t, do(w, lifecycle.ReportCompromise, 2))
	k := w.Stored("k")
	require.Equal(t, 3, k.Latest)
	for n := 1; n <= 3; n++ {
		_, _, created := w.StoredVersion("k", n)
		require.Equal(t, created, k.Recent[n-1], "version %d", n)
	}
	require.Equal(t, k.Recent[2], k.Overrides[2].Compromise.Reported, "the report and the version that takes over")
}

func TestActsOnAKeyAreDatedInTheirOrder(t *testing.T) {
	w := enginetest.New(t)
	w.AtOnce()
	w.Create("k", "")
	w.Before("IsStored", func() { // while a rotation holds the key's lock, an hour passes
		w.Before("IsStored", nil)
		w.Clock.Add(time.Hour)
	})
	second := make(chan error)
	go func() {
		_, err := w.Session().Versions().Rotate(context.Background(), "k", false, engine.Precondition{})
		second <- err
	}()
	w.Rotate("k")
	require.NoError(t, <-second)
	k := w.Stored("k")
	require.False(t, k.Recent[2].Before(k.Recent[1]), "%v", k.Recent)
}

func TestCreatingIsOneCommitAndTheKeyIsUsable(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	acts := w.Acts()
	require.Len(t, acts, 1)
	require.Equal(t, "create", acts[0].Act)
	require.Equal(t, 1, w.Calls()["CreateKey"])
	text := w.Encrypt("k", "x").Text
	require.Equal(t, enginetest.Text("x"), w.Decrypt("k", text).Text)
}

func TestAnOldVersionDecryptsAfterARotation(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	old := w.Encrypt("k", "x")
	w.Rotate("k")
	require.Equal(t, 2, w.Encrypt("k", "y").Version)
	require.Equal(t, enginetest.Text("x"), w.Decrypt("k", old.Text).Text)
}

func TestANumberUnderWhichSomethingIsStoredIsGivenUp(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Leave("k", 2)
	w.Rotate("k")
	require.Equal(t, 3, w.Stored("k").Latest)
	require.True(t, w.Logged("its number is given up"))
}

func TestWhatDoesNotOpenIsNotCommitted(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Acts()
	w.Token.Away(errors.New("the token lost it"))
	_, err := w.Session().Versions().Rotate(t.Context(), "k", false, engine.Precondition{})
	require.ErrorContains(t, err, "the token lost it")
	require.Empty(t, w.Acts())
	require.Equal(t, 1, w.Stored("k").Latest)
}

func TestARevisionThatIsNotMetChangesNothing(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Acts()
	other := 7
	_, err := w.Session().Versions().Rotate(t.Context(), "k", false, engine.Precondition{CAS: &other})
	require.ErrorIs(t, err, refusal.ErrConflict)
	require.Empty(t, w.Acts())
}

func TestArchivingMovesTheMaterialAndDestroyingErasesIt(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	text := w.Encrypt("k", "x").Text
	w.Rotate("k")
	require.NoError(t, do(w, lifecycle.Archive, 1))
	inUse, archived, _ := w.StoredVersion("k", 1)
	require.Empty(t, inUse)
	require.NotEmpty(t, archived)
	require.ErrorIs(t, w.Decrypt("k", text).Err, refusal.ErrDenied)

	require.NoError(t, do(w, lifecycle.Recover, 1))
	inUse, archived, _ = w.StoredVersion("k", 1)
	require.NotEmpty(t, inUse)
	require.Empty(t, archived)
	require.Equal(t, enginetest.Text("x"), w.Decrypt("k", text).Text)
}

func TestMaterialThatCannotBeMovedIsPendingAndTheActStands(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Rotate("k")
	w.Fail("PutArchived", errors.New("disk full"))
	view, err := w.Session().Versions().Transition(t.Context(), "k", engine.Operation{Op: lifecycle.Archive, Version: 1})
	require.NoError(t, err)
	require.True(t, view.Pending)
	w.Fail("PutArchived", nil)
	left, err := w.Session().Acts().Relocate(t.Context(), "k")
	require.NoError(t, err)
	require.False(t, left)
}

func TestTheReportOfACompromiseNeedsNeitherPolicyNorClock(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(*policy.Document) {})
	w.Create("k", "p")
	w.Restart()
	w.Fail("Policy", errors.New("storage fails"))
	w.Fail("Clock", errors.New("storage fails"))
	require.NoError(t, do(w, lifecycle.ReportCompromise, 1))
	require.False(t, w.Stored("k").Overrides[1].Compromise.Reported.IsZero())
	require.Error(t, do(w, lifecycle.Archive, 1), "what can wait does")
}

func TestAKeyIsBoundOnlyToAPolicyThatAdmitsIt(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.AllowedTypes = []keytype.Type{"chacha20-poly1305"} })
	_, _, err := w.Session().Keys().Create(t.Context(), engine.Creation{Spec: lifecycle.Key{Name: "k", Type: keytype.Default, Policy: "p"}})
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.Empty(t, w.Acts())
	require.NotContains(t, w.Calls(), "CreateKey")
}

func TestAPolicyThatSaysTheSameHasNoNewRevision(t *testing.T) {
	w := enginetest.New(t)
	for range 2 {
		w.Policy("p", func(d *policy.Document) { d.Description = "same" })
	}
	w.Policy("p", func(d *policy.Document) { d.Description = "other" })
	last, err := w.Session().Policies().Revisions(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, 2, last)
}

func TestAReasonThatThePolicyDemandsIsAskedOfEveryAct(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.RequireReason = []string{"rotate-manual", "suspend"} })
	w.Create("k", "p")
	_, err := w.Session().Versions().Rotate(t.Context(), "k", false, engine.Precondition{})
	require.ErrorContains(t, err, "reason")
	require.ErrorContains(t, do(w, lifecycle.Suspend, 0), "reason")
}

// TestWhoPromotedAVersionDidNotAskForItsRollback is about checks after a promotion: the rollback is the system's act.
func TestWhoPromotedAVersionDidNotAskForItsRollback(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.PostChecks = []string{"round_trip"} })
	w.Create("k", "p")
	w.Acts()
	w.Before("UpdateKey", func() { w.Token.Away(errors.New("broken")) })
	_, err := w.Session().Versions().Rotate(t.Context(), "k", false, engine.Precondition{})
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.ErrorContains(t, err, "version 2 was rolled back, version 1 is active")
	acts := w.Acts()
	require.Len(t, acts, 2)
	require.False(t, acts[0].System)
	require.Equal(t, string(lifecycle.Rollback), acts[1].Act)
	require.True(t, acts[1].System)
}

// TestACheckThatCannotAskTheWrapperSaysNothing is about a token that is away: no version is rolled back for that.
func TestACheckThatCannotAskTheWrapperSaysNothing(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.PostChecks = []string{"round_trip"} })
	w.Create("k", "p")
	w.Before("UpdateKey", func() { w.Token.Away(envelope.ErrUnavailable) })
	_, err := w.Session().Versions().Rotate(t.Context(), "k", false, engine.Precondition{})
	require.NoError(t, err)
	k := w.Stored("k")
	require.Equal(t, 2, k.Primary)
	require.True(t, k.PostChecks(w.PolicyInForce("p")).Pending(), "a tick goes on")
}

func TestAPolicyThatIsUsedIsNotDeleted(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(*policy.Document) {})
	w.Create("k", "p")
	w.Restart()
	err := w.Session().Policies().Delete(t.Context(), "p", engine.Precondition{})
	require.EqualError(t, err, `policy "p" is bound to key "k", and by its index to 1 keys; detach them first`)

	w.Policy("q", func(*policy.Document) {})
	name := "q"
	_, err = w.Session().Settings().SetGovernance(t.Context(), engine.GovernanceChange{DefaultPolicy: &name})
	require.NoError(t, err)
	err = w.Session().Policies().Delete(t.Context(), "q", engine.Precondition{})
	require.EqualError(t, err, `policy "q" is default_policy in config/engine; name another one or none there first`)
	name = "missing"
	_, err = w.Session().Settings().SetGovernance(t.Context(), engine.GovernanceChange{DefaultPolicy: &name})
	require.EqualError(t, err, `default_policy: "missing": no policy has this name`)
	require.ErrorIs(t, err, refusal.ErrInvalid)
}

// TestStorageThatDoesNotGiveBackWhatItTookFailsTheCheck is about the check that a rotation leaves to its commit.
func TestStorageThatDoesNotGiveBackWhatItTookFailsTheCheck(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Fail("UpdateKey", fmt.Errorf("%w: versions/k/2 is not there", refusal.ErrReadBack))
	_, err := w.Session().Versions().Rotate(t.Context(), "k", false, engine.Precondition{})
	require.EqualError(t, err, "pre-check storage_writable failed: what was written does not come back: versions/k/2 is not there")
}

func TestAPanicStaysInside(t *testing.T) {
	w := enginetest.New(t)
	err := w.Engine.Guard("a test", func() error { panic("the value is a secret") })
	require.ErrorContains(t, err, "internal error")
	require.True(t, w.Logged("a test"))
	require.False(t, w.Logged("the value is a secret"))
}

func TestWhatIsShortenedIsWholeText(t *testing.T) {
	long := strings.Repeat("x", 255) + "é and more"
	short := engine.Shorten(long)
	require.True(t, utf8.ValidString(short))
	require.Equal(t, strings.Repeat("x", 255), short)
	require.Equal(t, "short é", engine.Shorten("short é"))
}
