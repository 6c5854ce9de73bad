// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const group = "key-approvers"

// peopled is a world with approvers, that is past their first day.
func peopled(t *testing.T, names ...string) *enginetest.World {
	w := enginetest.New(t)
	for _, name := range names {
		w.Knows(consent.Person{ID: name, Name: name, Groups: []consent.Group{{ID: group, Name: group}}})
		settings, err := w.Session().Approvers().Settings(t.Context())
		require.NoError(t, err)
		_, err = w.Session().Approvers().Acknowledge(t.Context(), name, settings.DutiesHash(), engine.Precondition{})
		require.NoError(t, err)
	}
	w.Clock.Add(48 * time.Hour)
	w.Calls()
	return w
}

// board is what a tick makes of it a minute later, and what it called.
func board(w *enginetest.World) (observe.Governance, map[string]int) {
	w.T.Helper()
	w.Clock.Add(time.Minute)
	w.Calls()
	got, err := w.Session().Approvals().Board(w.T.Context())
	require.NoError(w.T, err)
	return got, w.Calls()
}

func ruled(rule string) func(d *policy.Document) {
	return func(d *policy.Document) { d.Approvals = map[acts.Gate]string{"rotate": rule} }
}

// ask makes alice ask for a rotation, and returns the id of her request.
func ask(w *enginetest.World, key, reason string) string {
	w.T.Helper()
	w.Knows(consent.Person{ID: "alice", Name: "alice"})
	w.Asks(engine.Caller{Entity: "alice", Name: "alice"})
	defer w.Asks(engine.Caller{})
	before, err := w.Session().Approvals().IDs(w.T.Context())
	require.NoError(w.T, err)
	_, err = w.Session().Versions().Rotate(w.T.Context(), key, false, engine.Precondition{Reason: reason})
	require.ErrorIs(w.T, err, refusal.ErrConsent)
	after, err := w.Session().Approvals().IDs(w.T.Context())
	require.NoError(w.T, err)
	for _, id := range after {
		if len(before) == 0 || !contains(before, id) {
			return id
		}
	}
	return ""
}

func contains(list []string, text string) bool {
	for _, one := range list {
		if one == text {
			return true
		}
	}
	return false
}

func vote(w *enginetest.World, id, who string, approve bool) {
	w.T.Helper()
	w.Asks(engine.Caller{Entity: who, Name: who})
	defer w.Asks(engine.Caller{})
	_, err := w.Session().Approvals().Vote(w.T.Context(), id, approve, "looked at")
	require.NoError(w.T, err)
}

func TestTheBoardOfAMountOnWhichNobodyIsAskedCostsTwoLists(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", asItIs)
	w.Create("k", "p")
	board(w)
	none := observe.Governance{Approvals: map[string]int{"pending": 0, "approved": 0}}
	for range 20 {
		got, calls := board(w)
		require.Equal(t, none, got)
		require.Equal(t, map[string]int{"RequestIDs": 1, "ReviewIDs": 1}, calls)
	}
	w.Policy("p", func(d *policy.Document) { d.Description = "another revision" })
	_, calls := board(w)
	require.Equal(t, 1, calls["ApprovalSettings"], "the rules are read anew after a policy has changed")
	_, calls = board(w)
	require.Zero(t, calls["ApprovalSettings"])
}

func TestTheBoardCountsRequestsByStateAndForgetsThoseThatEnded(t *testing.T) {
	w := peopled(t, "bob", "carol", "dave")
	w.Policy("p", ruled("1 of "+group))
	for _, name := range []string{"a", "b", "c"} {
		w.Create(name, "p")
	}
	first := ask(w, "a", "the first request")
	made := w.Clock.Now()
	w.Clock.Add(time.Hour)
	second := ask(w, "b", "the second request")
	third := ask(w, "c", "the third request")
	got, _ := board(w)
	require.Equal(t, map[string]int{"pending": 3, "approved": 0}, got.Approvals)
	require.Equal(t, made, got.OldestPending)

	vote(w, first, "bob", true)
	vote(w, third, "bob", false)
	got, _ = board(w)
	require.Equal(t, map[string]int{"pending": 1, "approved": 1}, got.Approvals)
	require.Equal(t, made.Add(time.Hour), got.OldestPending)
	_, calls := board(w)
	require.Equal(t, 2, calls["Request"], "one that was denied is not read again")

	w.Clock.Add(consent.DefaultApprovalTTL)
	got, _ = board(w)
	require.Equal(t, map[string]int{"pending": 0, "approved": 0}, got.Approvals, "they expired")
	require.Zero(t, got.OldestPending)
	again := ask(w, "b", "the second request")
	require.Empty(t, again, "it has the id that it had")
	got, _ = board(w)
	require.Equal(t, map[string]int{"pending": 1, "approved": 0}, got.Approvals, "and is noticed although it was over")
	require.NotEmpty(t, second)
	w.Restart()
	got, _ = board(w)
	require.Equal(t, map[string]int{"pending": 1, "approved": 0}, got.Approvals, "a process that begins anew finds it")
}

func TestATickLooksAtABoundedNumberOfRequestsAndRemembersTheOthers(t *testing.T) {
	w := peopled(t, "bob", "carol")
	w.Policy("p", ruled("1 of "+group))
	for i := range 40 {
		w.Create(fmt.Sprintf("k%02d", i), "p")
		who := fmt.Sprintf("asker-%d", i/10)
		w.Knows(consent.Person{ID: who, Name: who})
		w.Asks(engine.Caller{Entity: who, Name: who})
		_, err := w.Session().Versions().Rotate(t.Context(), fmt.Sprintf("k%02d", i), false, engine.Precondition{Reason: "one of many"})
		require.ErrorIs(t, err, refusal.ErrConsent)
	}
	w.Asks(engine.Caller{})
	got, calls := board(w)
	require.Equal(t, 32, got.Approvals["pending"])
	require.Equal(t, 32, calls["Request"])
	got, calls = board(w)
	require.Equal(t, 40, got.Approvals["pending"])
	require.Equal(t, 32, calls["Request"])
}

func TestTheBoardSaysOfEachRuleHowManyCanConsent(t *testing.T) {
	w := peopled(t, "bob", "carol", "dave")
	w.Policy("p", ruled("2 of "+group))
	_, err := w.Session().Approvers().Configure(t.Context(), func(s consent.Settings) (consent.Settings, error) {
		s.Approvals = map[acts.Gate]consent.Rule{acts.GateEnrol: {Need: 1, Groups: []string{group}}}
		return s, nil
	}, engine.Precondition{})
	require.NoError(t, err)
	got, calls := board(w)
	require.Equal(t, []observe.Approvers{
		{Rule: "config/approvals, enrol: 1 of " + group, Needed: 1, Able: 3}, {Rule: "policy p, rotate: 2 of " + group, Needed: 2, Able: 3},
	}, got.Approvers)
	require.Equal(t, 3, calls["Person"])
	_, calls = board(w)
	require.Zero(t, calls["Person"], "what Vault said holds for ten minutes")
	w.Knows(consent.Person{ID: "dave", Name: "dave", Disabled: true})
	w.Clock.Add(10 * time.Minute)
	got, calls = board(w)
	require.Equal(t, 2, got.Approvers[1].Able)
	require.Equal(t, 3, calls["Person"])

	w.Policy("p", func(d *policy.Document) { d.Approvals = nil })
	got, _ = board(w)
	require.Len(t, got.Approvers, 1)
}

func TestATickAsksVaultAboutABoundedNumberOfPeople(t *testing.T) {
	var names []string
	for i := range 120 {
		names = append(names, fmt.Sprintf("approver-%03d", i))
	}
	w := peopled(t, names...)
	w.Policy("p", ruled("2 of "+group))
	for _, want := range []int{0, 0, 120} {
		got, calls := board(w)
		require.LessOrEqual(t, calls["Person"], 50)
		if want == 0 {
			require.Nil(t, got.Approvers, "who was not asked about is not said to be unable")
			continue
		}
		require.Equal(t, want, got.Approvers[0].Able)
	}
	asked := 0
	for range 12 {
		_, calls := board(w)
		require.LessOrEqual(t, calls["Person"], 50)
		asked += calls["Person"]
	}
	require.GreaterOrEqual(t, asked, 120, "all are asked about again")
}

func TestTheBoardNamesFiftyRulesAtMost(t *testing.T) {
	w := peopled(t, "bob", "carol")
	for i := range 60 {
		w.Policy(fmt.Sprintf("p%02d", i), ruled("1 of "+group))
	}
	got, _ := board(w)
	require.Len(t, got.Approvers, 50)
	require.Equal(t, "policy p00, rotate: 1 of "+group, got.Approvers[0].Rule)
}

func TestTheBoardCountsOpenReviews(t *testing.T) {
	w := peopled(t, "bob", "carol")
	_, err := w.Session().Approvers().Configure(t.Context(), func(s consent.Settings) (consent.Settings, error) {
		s.BreakGlassGroups, s.BreakGlassOperations = []string{"sre"}, []acts.Gate{"promote"}
		return s, nil
	}, engine.Precondition{})
	require.NoError(t, err)
	w.Policy("p", func(d *policy.Document) { d.Approvals = map[acts.Gate]string{"promote": "1 of " + group} })
	w.Create("k", "p")
	_, err = w.Session().Versions().Rotate(t.Context(), "k", true, engine.Precondition{})
	require.NoError(t, err)
	w.Knows(consent.Person{ID: "erin", Name: "erin", Groups: []consent.Group{{ID: "sre", Name: "sre"}}})
	w.Asks(engine.Caller{Entity: "erin", Name: "erin"})
	at := w.Clock.Now()
	_, err = w.Session().Versions().Transition(t.Context(), "k", engine.Operation{
		Op: lifecycle.Promote, Version: 2, Precondition: engine.Precondition{Reason: "all orders are refused since ten", BreakGlass: true},
	})
	require.NoError(t, err)
	w.Asks(engine.Caller{})
	got, _ := board(w)
	require.Equal(t, 1, got.Reviews)
	require.Equal(t, at.Add(consent.DefaultReviewWithin), got.OldestReviewDue)
	w.Clock.Add(2 * consent.DefaultReviewWithin)
	got, _ = board(w)
	require.Equal(t, 1, got.Reviews, "also when it is overdue")

	ids, err := w.Session().Approvals().Reviews().IDs(t.Context())
	require.NoError(t, err)
	w.Asks(engine.Caller{Entity: "bob", Name: "bob"})
	_, err = w.Session().Approvals().Reviews().Close(t.Context(), ids[0], consent.Justified, "there was no other way")
	require.NoError(t, err)
	w.Asks(engine.Caller{})
	got, _ = board(w)
	require.Zero(t, got.Reviews)
	_, calls := board(w)
	require.Zero(t, calls["Review"], "one that was closed is not read again")
}

func TestTheBoardCountsKeysOfWhichADrillIsOverdue(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("drilled", func(d *policy.Document) { d.DrillEvery.Duration, d.DrillEvery.Text = 30*24*time.Hour, "30d" })
	w.Policy("other", asItIs)
	const keys = 70
	for i := range keys {
		w.Create(fmt.Sprintf("k%02d", i), "drilled")
	}
	w.Create("free", "other")
	got, _ := board(w)
	require.Zero(t, got.DrillsOverdue)
	w.Clock.Add(31 * 24 * time.Hour)
	w.Restart()
	for _, want := range []int{32, 64, 70, 70} {
		got, calls := board(w)
		require.Equal(t, want, got.DrillsOverdue)
		require.LessOrEqual(t, calls["Key"], 32)
		require.LessOrEqual(t, calls["BoundKeys"], 1)
	}
	_, err := w.Session().Versions().Drill(t.Context(), "k00", engine.Drilling{Record: true})
	require.NoError(t, err)
	for range 14 {
		got, _ = board(w)
	}
	require.Equal(t, 69, got.DrillsOverdue, "the next round finds the drill")
	w.Policy("drilled", func(d *policy.Document) { d.DrillEvery.Duration, d.DrillEvery.Text = 0, "0" })
	got, calls := board(w)
	require.Zero(t, got.DrillsOverdue)
	require.Zero(t, calls["Key"])
}

func TestTheBoardKeepsWhatItKnewOfWhatCannotBeRead(t *testing.T) {
	w := peopled(t, "bob", "carol", "dave")
	w.Policy("p", ruled("1 of "+group))
	w.Create("k", "p")
	ask(w, "k", "the only request")
	board(w)
	broken := errors.New("storage is away")
	for _, call := range []string{"RequestIDs", "ReviewIDs", "Request", "Enrolments", "ApprovalSettings"} {
		w.Fail(call, broken)
		w.Clock.Add(time.Minute)
		got, err := w.Session().Approvals().Board(context.Background())
		require.ErrorIs(t, err, broken, call)
		require.Equal(t, 1, got.Approvals["pending"], call)
		w.Fail(call, nil)
	}
}
