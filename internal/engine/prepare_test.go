// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"context"
	"errors"
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

// allChecks makes a policy ask for every check.
func allChecks(d *policy.Document) {
	d.PreChecks = []string{"hsm_healthy", "storage_writable", "clock_sane"}
	d.PostChecks = []string{"round_trip", "old_version_decrypts", "fingerprint_unique"}
}

// rotate asks for a new version.
func rotate(w *enginetest.World, stage bool, pre engine.Precondition) error {
	_, err := w.Session().Versions().Rotate(context.Background(), "k", stage, pre)
	return err
}

// TestNoLockOfAKeyIsHeldWhileAWrapperIsAsked is about all acts that need one. The fakes complain of a call under a lock, so
// all that is left to test is that each act does ask.
func TestNoLockOfAKeyIsHeldWhileAWrapperIsAsked(t *testing.T) {
	transition := func(op lifecycle.Op, n int) func(w *enginetest.World) error {
		return func(w *enginetest.World) error { return do(w, op, n) }
	}
	acts := []struct {
		name           string
		wraps, unwraps int // of the act with its checks
		before         []func(w *enginetest.World) error
		act            func(w *enginetest.World) error
	}{
		{"rotate", 2, 4, nil, func(w *enginetest.World) error { return rotate(w, false, engine.Precondition{}) }},
		{"stage", 1, 1, nil, func(w *enginetest.World) error { return rotate(w, true, engine.Precondition{}) }},
		{"promote", 1, 4, []func(w *enginetest.World) error{
			func(w *enginetest.World) error { return rotate(w, true, engine.Precondition{}) },
		}, transition(lifecycle.Promote, 2)},
		{"replace a compromised version", 2, 3, nil, transition(lifecycle.ReportCompromise, 1)},
		{"replace it with the staged one", 1, 3, []func(w *enginetest.World) error{
			func(w *enginetest.World) error { return rotate(w, true, engine.Precondition{}) },
		}, transition(lifecycle.ReportCompromise, 1)},
		{"archive", 1, 1, []func(w *enginetest.World) error{
			func(w *enginetest.World) error { return rotate(w, false, engine.Precondition{}) },
		}, transition(lifecycle.Archive, 1)},
		{"recover", 1, 1, []func(w *enginetest.World) error{
			func(w *enginetest.World) error { return rotate(w, false, engine.Precondition{}) }, transition(lifecycle.Archive, 1),
		}, transition(lifecycle.Recover, 1)},
		{"a tick that rotates", 2, 4, []func(w *enginetest.World) error{
			func(w *enginetest.World) error { w.Tick(); w.Clock.Add(31 * 24 * time.Hour); return nil },
		}, func(w *enginetest.World) error {
			if w.Tick().Rotated != 1 {
				return errors.New("nothing was rotated")
			}
			return nil
		}},
		{"a successor of one that has reached its limit", 2, 4, nil, func(w *enginetest.World) error {
			return w.ReplaceExhausted(context.Background(), w.Stored("k"), policy.Usage{Encryptions: 1 << 40})
		}},
	}
	for _, a := range acts {
		t.Run(a.name, func(t *testing.T) {
			w := enginetest.New(t)
			w.Policy("p", func(d *policy.Document) {
				allChecks(d)
				d.MinVersionsKept = 1
				d.RotationMode, d.RotationJitter = policy.Auto, schedule.Jitter{}
				d.RotationPeriod, _ = schedule.ParseSpan("30d")
			})
			w.Create("k", "p")
			for _, before := range a.before {
				require.NoError(t, before(w))
			}
			wraps, unwraps := w.Token.Calls()
			require.NoError(t, a.act(w))
			nowWraps, nowUnwraps := w.Token.Calls()
			require.Equal(t, a.wraps, nowWraps-wraps, "wraps")
			require.Equal(t, a.unwraps, nowUnwraps-unwraps, "unwraps")
		})
	}
}

func TestWhatIsRefusedAsksNoWrapper(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) {
		allChecks(d)
		d.RequireReason = []string{"rotate-manual"}
	})
	w.Create("k", "p")
	other := 7
	wraps, unwraps := w.Token.Calls()
	require.ErrorIs(t, rotate(w, false, engine.Precondition{CAS: &other}), refusal.ErrConflict)
	require.ErrorContains(t, rotate(w, false, engine.Precondition{}), "reason")
	require.NoError(t, do(w, lifecycle.Suspend, 0))
	require.ErrorIs(t, rotate(w, false, engine.Precondition{Reason: "because of a test"}), refusal.ErrRefused)
	require.ErrorIs(t, do(w, lifecycle.Promote, 1), refusal.ErrRefused)
	nowWraps, nowUnwraps := w.Token.Calls()
	require.Equal(t, []int{wraps, unwraps}, []int{nowWraps, nowUnwraps})
}

// TestNothingIsReadTwiceForAnActThatNobodyOvertakes is about what a rotation costs: deciding it anew is free.
func TestNothingIsReadTwiceForAnActThatNobodyOvertakes(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", allChecks)
	w.Create("k", "p")
	w.Calls()
	w.Rotate("k")
	calls := w.Calls()
	require.Equal(t, 2, calls["Read"], "of the rotation and of its checks")
	require.Equal(t, 1, calls["IsStored"])
	require.Equal(t, 1, calls["Clock"])
	require.Equal(t, 2, calls["UpdateKey"])
}

// once runs do before the first call of a wrapper.
func once(w *enginetest.World, do func()) {
	w.Token.Before(func() {
		w.Token.Before(nil)
		do()
	})
}

func TestAnActThatIsOvertakenGoesOnWithWhatStillFits(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	once(w, func() {
		_, err := w.Session().Versions().Hold(t.Context(), "k", true, engine.Precondition{})
		require.NoError(t, err)
	})
	wraps, _ := w.Token.Calls()
	w.Rotate("k")
	nowWraps, _ := w.Token.Calls()
	require.Equal(t, 2, w.Stored("k").Latest)
	require.Equal(t, 1, nowWraps-wraps, "the same material")
	require.True(t, w.Stored("k").Hold)
}

func TestMaterialForANumberThatIsTakenMeanwhileIsMadeAnew(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	once(w, func() { w.Rotate("k") })
	w.Rotate("k")
	require.Equal(t, 3, w.Stored("k").Latest)
	text := w.Encrypt("k", "x")
	require.Equal(t, 3, text.Version)
	require.Equal(t, enginetest.Text("x"), w.Decrypt("k", text.Text).Text)
}

func TestMaterialForANumberThatIsGivenUpMeanwhileIsMadeAnew(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	once(w, func() {
		w.Leave("k", 2)
		_, err := w.Session().Versions().Hold(t.Context(), "k", true, engine.Precondition{})
		require.NoError(t, err)
	})
	w.Rotate("k")
	require.Equal(t, 3, w.Stored("k").Latest)
	require.Equal(t, enginetest.Text("x"), w.Decrypt("k", w.Encrypt("k", "x").Text).Text)
}

func TestADemandForAnHSMThatComesMeanwhileIsMet(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(*policy.Document) {})
	w.Policy("q", func(d *policy.Document) { d.HSM = policy.Required })
	w.Create("k", "p")
	w.Acts()
	once(w, func() {
		q := "q"
		_, _, err := w.Session().Keys().Configure(t.Context(), "k", lifecycle.ConfigChange{Policy: &q}, engine.Precondition{})
		require.NoError(t, err)
	})
	require.ErrorContains(t, rotate(w, false, engine.Precondition{}), "no HSM is configured")
	require.Equal(t, 1, w.Stored("k").Latest)
}

func TestARefusalThatComesMeanwhileCounts(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	revision := w.Stored("k").Revision
	once(w, func() { require.NoError(t, do(w, lifecycle.Suspend, 0)) })
	require.ErrorIs(t, rotate(w, false, engine.Precondition{CAS: &revision}), refusal.ErrConflict)
	require.Equal(t, 1, w.Stored("k").Latest)
}

// TestAKeyThatOthersAlwaysOvertakeIsGivenUp is about a writer that has no luck: it ends, and may try again.
func TestAKeyThatOthersAlwaysOvertakeIsGivenUp(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	rotations := 0
	var others func()
	others = func() {
		w.Token.Before(nil)
		rotations++
		w.Rotate("k")
		w.Token.Before(others)
	}
	w.Token.Before(others)
	err := rotate(w, false, engine.Precondition{})
	w.Token.Before(nil)
	require.ErrorIs(t, err, envelope.ErrUnavailable, "a client may try again")
	require.ErrorContains(t, err, "nothing was written, try again")
	require.Equal(t, 1+rotations, w.Stored("k").Latest)
	w.Rotate("k")
}

// TestAReportIsCommittedWhereItsReplacementIsAlwaysOvertaken is about what must not fail: a tick replaces the version.
func TestAReportIsCommittedWhereItsReplacementIsAlwaysOvertaken(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	taken := 1
	var others func()
	others = func() { // acts that are cut short take every number before the report can
		w.Token.Before(nil)
		taken++
		w.Leave("k", taken)
		_, err := w.Session().Versions().Hold(context.Background(), "k", taken%2 == 0, engine.Precondition{})
		require.NoError(t, err)
		w.Token.Before(others)
	}
	w.Token.Before(others)
	require.NoError(t, do(w, lifecycle.ReportCompromise, 1))
	w.Token.Before(nil)
	k := w.Stored("k")
	require.False(t, k.Overrides[1].Compromise.Reported.IsZero())
	require.True(t, k.NeedsSuccessor())
	w.Clock.Add(time.Minute)
	w.Tick()
	require.False(t, w.Stored("k").NeedsSuccessor())
}

// TestChecksCountForTheRevisionThatTheyRanOn is about a key that is changed while its checks run.
func TestChecksCountForTheRevisionThatTheyRanOn(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.PreChecks, d.PostChecks = []string{"hsm_healthy"}, nil })
	w.Create("k", "p")
	require.NoError(t, rotate(w, true, engine.Precondition{}))
	_, before := w.Token.Calls()
	once(w, func() {
		_, err := w.Session().Versions().Hold(t.Context(), "k", true, engine.Precondition{})
		require.NoError(t, err)
	})
	require.NoError(t, do(w, lifecycle.Promote, 2))
	_, after := w.Token.Calls()
	require.Equal(t, 2, after-before, "the probe ran for each revision")
	require.Equal(t, 2, w.Stored("k").Primary)
}

func TestMaterialIsMovedFromWhatIsStoredWhenItIsPut(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	text := w.Encrypt("k", "x").Text
	w.Rotate("k")
	once(w, func() { // the version is sealed anew meanwhile
		require.NoError(t, w.Reseal(t.Context(), "k", 1))
	})
	wraps, unwraps := w.Token.Calls()
	require.NoError(t, do(w, lifecycle.Archive, 1))
	nowWraps, nowUnwraps := w.Token.Calls()
	require.Equal(t, []int{3, 3}, []int{nowWraps - wraps, nowUnwraps - unwraps}, "the other's, one that no longer fits, one that does")
	inUse, archived, _ := w.StoredVersion("k", 1)
	require.Empty(t, inUse)
	require.NotEmpty(t, archived)
	require.NoError(t, do(w, lifecycle.Recover, 1))
	require.Equal(t, enginetest.Text("x"), w.Decrypt("k", text).Text)
}
