// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

var erin = engine.Caller{Entity: "e", Name: "erin"}

// guarded is a world in which version 2 of key k is staged, its promotion needs consent, and erin is on call.
func guarded(t *testing.T, rules map[acts.Gate]string) *enginetest.World {
	w := enginetest.New(t)
	for _, id := range []string{"b", "c"} {
		w.Knows(consent.Person{ID: id, Groups: []consent.Group{{Name: "a"}}})
		_, err := w.Session().Approvers().Acknowledge(context.Background(), id, consent.DefaultSettings().DutiesHash(), engine.Precondition{})
		require.NoError(t, err)
	}
	w.Policy("p", func(d *policy.Document) { d.Approvals, d.PreChecks = rules, []string{} })
	w.Create("k", "p")
	require.NoError(t, rotate(w, true, engine.Precondition{}))
	_, err := w.Session().Approvers().Configure(context.Background(), func(s consent.Settings) (consent.Settings, error) {
		s.BreakGlassGroups = []string{"on-call"}
		return s, nil
	}, engine.Precondition{})
	require.NoError(t, err)
	w.Knows(consent.Person{ID: "e", Name: "erin", Groups: []consent.Group{{Name: "on-call"}}})
	w.Asks(erin)
	w.Calls()
	w.Acts()
	return w
}

func promoteByBreakGlass(w *enginetest.World) error {
	_, err := w.Session().Versions().Transition(context.Background(), "k", engine.Operation{
		Op: lifecycle.Promote, Version: 2, Precondition: engine.Precondition{Reason: "INC-2044: payments are down", BreakGlass: true},
	})
	return err
}

func TestBreakGlassIsRefusedWhereWhatItAsksForCannotBeRead(t *testing.T) {
	rules := map[acts.Gate]string{"promote": "1 of a"}
	fault := errors.New("storage is away")
	for _, call := range []string{"ApprovalSettings", "Person", "ReviewIDs", "Instance", "Clock"} {
		w := guarded(t, rules)
		w.Fail(call, fault)
		require.ErrorIs(t, promoteByBreakGlass(w), fault, call)
		require.Empty(t, w.Acts(), call)
		w.Fail(call, nil)
		require.NoError(t, promoteByBreakGlass(w))
		done := w.Acts()
		require.Equal(t, "promote", done[0].Act)
		require.Equal(t, done[0].Review.ID(), done[0].Details["review"])
	}
}

func TestAReviewThatCannotBeReadHoldsBreakGlassBack(t *testing.T) {
	w := guarded(t, map[acts.Gate]string{"promote": "1 of a"})
	require.NoError(t, promoteByBreakGlass(w))
	require.NoError(t, rotate(w, true, engine.Precondition{}))
	fault := errors.New("storage is away")
	again := func() error {
		_, err := w.Session().Versions().Transition(context.Background(), "k", engine.Operation{
			Op: lifecycle.Promote, Version: 3, Precondition: engine.Precondition{Reason: "INC-2045: payments are down", BreakGlass: true},
		})
		return err
	}
	w.Fail("Review", fault)
	require.ErrorIs(t, again(), fault, "it may be overdue")
	w.Fail("Review", nil)
	w.Clock.Add(73 * time.Hour)
	w.Fail("TookEffect", fault)
	require.ErrorIs(t, again(), fault)
	w.Fail("TookEffect", nil)
	require.ErrorIs(t, again(), refusal.ErrRefused)
	require.ErrorContains(t, again(), "overdue")
}

func TestWhereNoRuleAsksBreakGlassAsksNobody(t *testing.T) {
	w := guarded(t, nil)
	require.NoError(t, promoteByBreakGlass(w))
	calls := w.Calls()
	for _, call := range []string{"ApprovalSettings", "Person", "ReviewIDs", "Instance"} {
		require.Zero(t, calls[call], call)
	}
	require.Nil(t, w.Acts()[0].Review)
}
