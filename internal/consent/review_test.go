// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// reviewOf is the review of an act of erin's, on what alice made under a policy of grace's.
func reviewOf(t *testing.T, rule string) consent.Review {
	content := consent.Content{Operation: "promote", Subject: consent.Subject{Scope: acts.Key, Name: "cards"}, Requester: "erin"}
	return consent.ReviewOf(consent.Request{
		Content: content, Digest: content.Digest(), Rule: ruleOf(t, rule), Exclude: []consent.Exclusion{consent.ExcludeCreator, consent.ExcludeAuthor},
		Requester: "Erin", Creator: "alice", Author: "grace", Created: start,
	}, start.Add(72*time.Hour))
}

func TestAReviewHasTheIDOfARequestWithAnotherBeginning(t *testing.T) {
	r := reviewOf(t, "1 of a")
	require.Equal(t, "rv-"+strings.TrimPrefix(consent.IDOf(r.Digest), "ap-"), r.ID())
	require.False(t, consent.IsID(r.ID()))
	require.Equal(t, "Erin (erin)", r.By())
	r.Content.Requester = ""
	require.Equal(t, "Erin", r.By(), "a token without an entity")
}

func TestTheStateOfAReviewFollowsFromWhatIsKnown(t *testing.T) {
	r := reviewOf(t, "1 of a")
	closed := r
	closed.Verdict = consent.Rejected
	for _, x := range []struct {
		review    consent.Review
		after     time.Duration
		effective bool
		want      consent.State
	}{
		{r, 0, true, consent.Open},
		{r, 72*time.Hour - 1, true, consent.Open},
		{r, 72 * time.Hour, true, consent.Overdue},
		{r, 72 * time.Hour, false, consent.Void},
		{closed, 72 * time.Hour, true, consent.Rejected},
		{closed, 0, false, consent.Void},
	} {
		require.Equal(t, x.want, x.review.StateIn(start.Add(x.after), x.effective))
	}
}

func TestWhoCountsUnderTheRuleMayCloseAReview(t *testing.T) {
	s := consent.DefaultSettings()
	enrolled := func(since time.Time) *consent.Enrolment {
		return &consent.Enrolment{Since: since, Acknowledged: since}
	}
	now := start.Add(48 * time.Hour)
	in := func(id string, groups ...string) consent.Person {
		p := consent.Person{ID: id}
		for _, name := range groups {
			p.Groups = append(p.Groups, consent.Group{Name: name})
		}
		return p
	}
	for _, x := range []struct {
		rule string
		p    consent.Person
		e    *consent.Enrolment
		why  string
	}{
		{"2 of a", in("bob", "a"), enrolled(start.Add(-time.Hour)), ""},
		{"2 of a", in("bob", "a"), enrolled(start.Add(time.Hour)), ""}, // after the act, and longer ago than approver_wait
		{"2 of a", in("bob", "a"), enrolled(now.Add(-time.Hour)), "approver_wait"},
		{"2 of a", in("bob", "a"), nil, "has not enrolled"},
		{"2 of a", in("bob", "b"), enrolled(start), "is in none of the groups a"},
		{"2 of a", in("erin", "a"), enrolled(start), "did it"},
		{"2 of a", in("alice", "a"), enrolled(start), "made what it is about"},
		{"2 of a", in("grace", "a"), enrolled(start), "wrote the revision"},
		{"2 of a", consent.Person{ID: "bob", Gone: true}, enrolled(start), "is no entity"},
		{"not creator", in("bob"), enrolled(start), ""},
		{"not creator", in("bob"), nil, "has not enrolled"},
		{"not creator", in("alice"), enrolled(start), "made what it is about"},
		{"not creator", in("erin"), enrolled(start), "did it"},
	} {
		why := reviewOf(t, x.rule).WhyNot(s, x.p, x.e, now)
		require.Equal(t, x.why == "", why == "", "%s, %s: %s", x.rule, x.p.ID, why)
		require.Contains(t, why, x.why)
	}
}

func TestBreakGlassGivesBackWhateverTheSettingsSay(t *testing.T) {
	s := consent.DefaultSettings()
	require.NoError(t, s.CheckBreakGlass("promote"))
	require.ErrorContains(t, s.CheckBreakGlass("resume"), "is none of break_glass_operations")
	s.BreakGlassOperations = acts.Gates(acts.Version, acts.Key, acts.Policy, acts.Mount)
	for _, act := range acts.All() {
		if act.Gate == "" || act.Restores || act.Name == acts.Promote {
			continue
		}
		require.ErrorIs(t, s.CheckBreakGlass(act.Gate), refusal.ErrRefused, act.Gate)
	}
	for _, gate := range consent.BreakGlassable() {
		require.NoError(t, s.CheckBreakGlass(gate))
	}
}

func TestWhoMayActByBreakGlass(t *testing.T) {
	s := consent.DefaultSettings()
	erin := consent.Person{ID: "e", Name: "erin", Groups: []consent.Group{{ID: "g1", Name: "on-call"}}}
	require.Contains(t, s.WhyNoGlass(erin), "is in none of break_glass_groups", "nobody, by default")
	for _, group := range []string{"on-call", "g1"} {
		s.BreakGlassGroups = []string{"other", group}
		require.Empty(t, s.WhyNoGlass(erin))
	}
	require.Contains(t, s.WhyNoGlass(consent.Person{}), "break_glass_root")
	s.BreakGlassRoot = true
	require.Empty(t, s.WhyNoGlass(consent.Person{}))
	require.Contains(t, s.WhyNoGlass(consent.Person{ID: "e", Groups: nil}), "is in none", "a person is no token without an entity")
	disabled, gone := erin, erin
	disabled.Disabled, gone.Gone = true, true
	require.Contains(t, s.WhyNoGlass(disabled), "disabled")
	require.Contains(t, s.WhyNoGlass(gone), "no entity")
}
