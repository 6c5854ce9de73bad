// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// rosterOf is of founders that are in the group key-approvers.
func rosterOf(names ...string) consent.Roster {
	r := consent.Roster{Settings: consent.DefaultSettings(), At: start}
	for _, name := range names {
		r.Members = append(r.Members, consent.Member{
			Enrolment: consent.Enrolment{Entity: name + "-id", Since: start, Founder: true, Acknowledged: start},
			Person:    consent.Person{ID: name + "-id", Name: name, Groups: []consent.Group{{ID: "g1", Name: "key-approvers"}}},
		})
	}
	return r
}

func ruleOf(t *testing.T, text string) consent.Rule {
	t.Helper()
	rule, err := consent.ParseRule(text)
	require.NoError(t, err)
	return rule
}

func TestARuleThatTooFewCanSatisfyIsRefused(t *testing.T) {
	for _, row := range []struct {
		rule    string
		people  []string
		refused string // empty: not at all
	}{
		{"2 of key-approvers", nil, "nobody can approve; 3 more are needed, so that one can be away"},
		{"2 of key-approvers", []string{"bob"}, "1 can approve (bob); 2 more are needed, so that one can be away"},
		{"2 of key-approvers", []string{"bob", "carol"}, "2 can approve (bob, carol); one more is needed, so that one can be away"},
		{"2 of key-approvers", []string{"bob", "carol", "dan"}, ""},
		{"2 of g1", []string{"bob", "carol", "dan"}, ""},
		{"2 of other", []string{"bob", "carol", "dan"}, "nobody can approve; 3 more"},
		{"9 of key-approvers", []string{"a", "b", "c", "d", "e", "f"}, "6 can approve (a, b, c, d, e, ...); 4 more"},
	} {
		rules := map[acts.Gate]consent.Rule{"config": ruleOf(t, row.rule)}
		err := rosterOf(row.people...).CheckRules(nil, rules)
		if row.refused == "" {
			require.NoError(t, err, row.rule)
			continue
		}
		require.ErrorIs(t, err, refusal.ErrInvalid)
		require.ErrorContains(t, err, fmt.Sprintf("approvals: %q: %s", "config="+row.rule, row.refused))
		require.NoError(t, rosterOf(row.people...).CheckRules(rules, rules), "it was there already")
		require.Error(t, rosterOf(row.people...).CheckRules(map[acts.Gate]consent.Rule{"config": ruleOf(t, "1 of nobody")}, rules))
		require.Error(t, rosterOf(row.people...).CheckRules(map[acts.Gate]consent.Rule{"clock": rules["config"]}, rules))
	}
	require.NoError(t, rosterOf().CheckRules(nil, map[acts.Gate]consent.Rule{"promote": ruleOf(t, "not creator")}))
}

func TestOnlyThoseCountWhoCanApproveNow(t *testing.T) {
	rule := ruleOf(t, "1 of key-approvers")
	for why, change := range map[string]func(m *consent.Member){
		"is no entity":         func(m *consent.Member) { m.Person.Gone = true },
		"is disabled":          func(m *consent.Member) { m.Person.Disabled = true },
		"less than":            func(m *consent.Member) { m.Founder = false },
		"has not acknowledged": func(m *consent.Member) { m.Acknowledged = start.Add(-366 * 24 * time.Hour) },
		"in none of":           func(m *consent.Member) { m.Person.Groups = nil },
	} {
		r := rosterOf("bob", "carol")
		require.Zero(t, r.Lacking(rule))
		change(&r.Members[0])
		require.Equal(t, 1, r.Lacking(rule), why)
		require.Contains(t, r.WhyNot(r.Members[0], rule), why)
		require.Equal(t, why == "in none of", r.Why(r.Members[0]) == "", why)
		require.Equal(t, "1 can approve (carol); a member who asks leaves 0", r.Shrunk(rule))
	}
}

func TestAPoolThatHasShrunkSaysWhoIsLeft(t *testing.T) {
	rule := ruleOf(t, "2 of key-approvers")
	require.Empty(t, rosterOf("bob", "carol", "dan").Shrunk(rule))
	require.Equal(t, "2 can approve (bob, carol); a member who asks leaves 1", rosterOf("bob", "carol").Shrunk(rule))
	require.Equal(t, "1 can approve (bob): 2 are needed", rosterOf("bob").Shrunk(rule))
	require.Equal(t, "nobody can approve: 2 are needed", rosterOf().Shrunk(rule))
	require.Empty(t, rosterOf().Shrunk(ruleOf(t, "not creator")))
	nameless := rosterOf("bob")
	nameless.Members[0].Person.Name = ""
	require.Equal(t, "1 can approve (bob-id): 2 are needed", nameless.Shrunk(rule))
}

// TestSettingsMustNotShrinkThePoolOfARule: what they ask of an approver can, without touching a rule.
func TestSettingsMustNotShrinkThePoolOfARule(t *testing.T) {
	was := consent.DefaultSettings()
	was.Approvals = map[acts.Gate]consent.Rule{"approvals": ruleOf(t, "1 of key-approvers")}
	r := rosterOf("bob", "carol")
	next := was
	next.AuthMount = "typo"
	require.ErrorContains(t, r.CheckSettings(was, next), "nobody can approve")
	next = was
	next.Duties = "other"
	require.NoError(t, r.CheckSettings(was, next))
	require.NoError(t, rosterOf().CheckSettings(was, next), "the pool had shrunk before")
	shrunk := was
	shrunk.AuthMount = "typo"
	require.NoError(t, r.CheckSettings(shrunk, was), "a step back is one forward")
	next.Approvals = nil
	require.NoError(t, rosterOf().CheckSettings(was, next))
}

func TestSettingsThatSayNothingAreRefused(t *testing.T) {
	for want, change := range map[string]func(s *consent.Settings){
		`approvals: "retire": is no operation of the mount`: func(s *consent.Settings) {
			s.Approvals = map[acts.Gate]consent.Rule{"retire": ruleOf(t, "1 of a")}
		},
		`approvals: "config=not creator": not creator is for`: func(s *consent.Settings) {
			s.Approvals = map[acts.Gate]consent.Rule{"config": ruleOf(t, "not creator")}
		},
		"at most 4096 bytes":                       func(s *consent.Settings) { s.Duties = strings.Repeat("x", 4097) },
		"duties: \"?\": must be UTF-8":             func(s *consent.Settings) { s.Duties = "\xff" },
		"auth_mount: ":                             func(s *consent.Settings) { s.AuthMount = strings.Repeat("x", 257) },
		"acknowledge_every: 86399: must be":        func(s *consent.Settings) { s.AcknowledgeEvery = 24*time.Hour - time.Second },
		"acknowledge_every: 315360001: must be":    func(s *consent.Settings) { s.AcknowledgeEvery = 3650*24*time.Hour + time.Second },
		"approver_wait: -1: must be 0 to 2592000":  func(s *consent.Settings) { s.ApproverWait = -time.Second },
		"approver_wait: 2592001: must be":          func(s *consent.Settings) { s.ApproverWait = 30*24*time.Hour + time.Second },
		"review_within: 3599: must be":             func(s *consent.Settings) { s.ReviewWithin = time.Hour - time.Second },
		"break_glass_groups: \"a\": must name":     func(s *consent.Settings) { s.BreakGlassGroups = []string{"a", "a"} },
		"break_glass_groups: \"\": must name":      func(s *consent.Settings) { s.BreakGlassGroups = []string{""} },
		"at most 8 groups":                         func(s *consent.Settings) { s.BreakGlassGroups = strings.Split("a,b,c,d,e,f,g,h,i", ",") },
		"break_glass_operations: \"retire\": must": func(s *consent.Settings) { s.BreakGlassOperations = []acts.Gate{"retire"} },
		"break_glass_operations: \"resume\": must": func(s *consent.Settings) { s.BreakGlassOperations = []acts.Gate{"resume", "resume"} },
	} {
		s := consent.DefaultSettings()
		require.NoError(t, s.Check())
		change(&s)
		err := s.Check()
		require.ErrorIs(t, err, refusal.ErrInvalid, want)
		require.ErrorContains(t, err, want)
	}
	bounds := consent.DefaultSettings()
	bounds.AcknowledgeEvery, bounds.ApproverWait, bounds.ReviewWithin = 24*time.Hour, 0, time.Hour
	bounds.Duties, bounds.BreakGlassOperations = strings.Repeat("x", 4096), consent.BreakGlassable()
	require.NoError(t, bounds.Check())
}

func TestRulesAreReadByOperation(t *testing.T) {
	rules, err := consent.ParseRules(map[string]string{"clock": "1 of a", "config": "2 of a, b"})
	require.NoError(t, err)
	require.Equal(t, map[acts.Gate]consent.Rule{"clock": {Need: 1, Groups: []string{"a"}}, "config": {Need: 2, Groups: []string{"a", "b"}}}, rules)
	_, err = consent.ParseRules(map[string]string{"clock": "0 of a"})
	require.ErrorContains(t, err, `approvals: "clock=0 of a": must ask for 1 to 10 persons`)
}

func TestDifferencesNameEachSettingThatChanged(t *testing.T) {
	before := consent.DefaultSettings()
	require.Empty(t, before.Differences(before))
	after := consent.Settings{
		Approvals: map[acts.Gate]consent.Rule{"clock": ruleOf(t, "1 of a")}, Duties: "d", AcknowledgeEvery: 1, ApproverWait: 1, AuthMount: "m",
		BreakGlassGroups: []string{"g"}, BreakGlassRoot: true, BreakGlassOperations: []acts.Gate{"resume"}, ReviewWithin: 1, Revision: 7,
	}
	changes := before.Differences(after)
	require.Len(t, changes, 9, "of all settings, and not of the revision")
	require.Equal(t, `"" -> "clock=1 of a"`, changes["approvals"])
	require.Equal(t, `"promote" -> "resume"`, changes["break_glass_operations"])
	require.Equal(t, before.DutiesHash()+" -> "+after.DutiesHash(), changes["duties"])
	require.False(t, before.Same(after))
}

func TestAnAcknowledgementRenewsAnEnrolmentAndKeepsSinceWhen(t *testing.T) {
	s := consent.DefaultSettings()
	s.Duties = "Look before you approve."
	require.NoError(t, s.CheckDuties(s.DutiesHash()))
	require.ErrorContains(t, s.CheckDuties(consent.DefaultSettings().DutiesHash()), "duties_hash: ")
	first := s.Acknowledged("b0b", nil, true, start)
	require.Equal(t, consent.Enrolment{Entity: "b0b", Since: start, Founder: true, Acknowledged: start, DutiesHash: s.DutiesHash()}, first)
	s.Duties = "Look twice."
	later := s.Acknowledged("b0b", &first, false, start.Add(time.Hour))
	require.Equal(t, consent.Enrolment{Entity: "b0b", Since: start, Founder: true, Acknowledged: start.Add(time.Hour), DutiesHash: s.DutiesHash()}, later)
	require.Equal(t, start.Add(time.Hour+365*24*time.Hour), s.Lapses(later))
}
