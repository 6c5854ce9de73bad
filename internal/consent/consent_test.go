// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestARuleReadsBackAsItIsWritten(t *testing.T) {
	for _, text := range []string{"1 of a", "2 of key-approvers", "10 of key-approvers, security", "not creator"} {
		rule, err := consent.ParseRule(text)
		require.NoError(t, err, text)
		require.Equal(t, text, rule.String())
	}
	rule, err := consent.ParseRule("  2   of a,b ")
	require.NoError(t, err)
	require.Equal(t, consent.Rule{Need: 2, Groups: []string{"a", "b"}}, rule)
}

func TestARuleThatSaysNothingIsRefused(t *testing.T) {
	for text, rule := range map[string]string{
		"": "must be as", "2": "must be as", "of a": "must be as", "two of a": "must be as", "0 of a": "1 to 10 persons", "-1 of a": "1 to 10 persons",
		"11 of a": "1 to 10 persons", "2 of a,": "must name each group", "2 of a, a": "once",
		"1 of a,b,c,d,e,f,g,h,i": "at most 8 groups", "not the creator": "must be as",
	} {
		_, err := consent.ParseRule(text)
		require.ErrorContains(t, err, rule, text)
	}
}

func TestTheDigestIsThatOfTheContent(t *testing.T) {
	content := consent.Content{
		Instance: "8f14", Operation: "retire", Subject: consent.Subject{Scope: acts.Key, Name: "cards", KeyID: "6f72"}, Version: 3, Revision: 17,
		Policy: consent.Policy{Name: "pci", Revision: 4, Hash: "ab"}, Parameters: map[string]string{"b": "2", "a": "<1>"},
		Reason: "CHG-4711: table dropped & gone", Requester: "3f2b",
	}
	// printf 'keylife/approval/v1\n{"instance":"8f14",…,"requester":"3f2b"}' | sha256sum
	const want = "7463e6a442b7a24059d484fe0d9acd86566cf1174d1e8e6bf64f44ad28569aff"
	require.Equal(t, want, content.Digest())
	id := consent.IDOf(want)
	require.True(t, consent.IsID(id), id)
	require.Len(t, id, 29)
	for _, other := range []string{"", "ap-", id[:28], id + "a", "AP" + id[2:], id[3:]} {
		require.False(t, consent.IsID(other), other)
	}
	seen := map[string]bool{want: true}
	for _, change := range []func(*consent.Content){
		func(c *consent.Content) { c.Instance = "8f15" },
		func(c *consent.Content) { c.Operation = "archive" },
		func(c *consent.Content) { c.Subject.Scope = acts.Policy },
		func(c *consent.Content) { c.Subject.Name = "card" },
		func(c *consent.Content) { c.Subject.KeyID = "6f73" },
		func(c *consent.Content) { c.Version = 4 },
		func(c *consent.Content) { c.Revision = 18 },
		func(c *consent.Content) { c.Policy.Name = "pcj" },
		func(c *consent.Content) { c.Policy.Revision = 5 },
		func(c *consent.Content) { c.Policy.Hash = "ac" },
		func(c *consent.Content) { c.Parameters = map[string]string{"a": "2", "b": "<1>"} },
		func(c *consent.Content) { c.Parameters = nil },
		func(c *consent.Content) { c.Reason += " " },
		func(c *consent.Content) { c.Requester = "3f2c" },
	} {
		other := content
		change(&other)
		require.False(t, seen[other.Digest()], "%+v", other)
		seen[other.Digest()] = true
	}
	empty, given := consent.Content{}, consent.Content{Parameters: map[string]string{}}
	require.Equal(t, empty.Digest(), given.Digest())
}

func FuzzIDsHaveOneForm(f *testing.F) {
	f.Add("ap-4tq7mz2vxk5jhd3lwnq6p2ibyc")
	f.Add(consent.IDOf(consent.Content{}.Digest()))
	f.Fuzz(func(t *testing.T, text string) {
		if consent.IsID(text) {
			require.Regexp(t, `^ap-[a-z2-7]{26}$`, text)
		}
	})
}

func TestARequestIsInTheFirstStateThatApplies(t *testing.T) {
	asked := consent.Request{Rule: consent.Rule{Need: 2, Groups: []string{"g"}}, Created: start, ApproveFor: 72 * time.Hour, ExecuteFor: 24 * time.Hour, Clock: 1}
	approved := asked
	approved.Approved = start.Add(71 * time.Hour)
	denied, withdrawn := approved, approved
	denied.Denied = start
	withdrawn.Withdrawn = start.Add(time.Hour)
	for _, row := range []struct {
		name    string
		request consent.Request
		in      consent.Situation
		want    consent.State
	}{
		{"asked", asked, consent.Situation{Now: start, Clock: 1}, consent.Pending},
		{"nobody votes in time", asked, consent.Situation{Now: start.Add(72 * time.Hour), Clock: 1}, consent.Expired},
		{"enough", approved, consent.Situation{Now: start.Add(72 * time.Hour), Clock: 1, Counting: 2}, consent.Approved},
		{"a voter counts no longer", approved, consent.Situation{Now: start.Add(72 * time.Hour), Clock: 1, Counting: 1}, consent.Pending},
		{"not executed in time", approved, consent.Situation{Now: start.Add(95 * time.Hour), Clock: 1, Counting: 2}, consent.Expired},
		{"votes that nobody has counted", asked, consent.Situation{Now: start, Clock: 1, Counting: 2}, consent.Pending},
		{"the key has moved", approved, consent.Situation{Now: start, Clock: 1, Counting: 2, Moved: true}, consent.Void},
		{"the clock was acknowledged", approved, consent.Situation{Now: start, Clock: 2, Counting: 2}, consent.Void},
		{"executed, which moves the key", approved, consent.Situation{Now: start.Add(999 * time.Hour), Clock: 2, Moved: true, Executed: true}, consent.Executed},
		{"denied", denied, consent.Situation{Now: start, Clock: 1, Counting: 2, Moved: true}, consent.Denied},
		{"withdrawn", withdrawn, consent.Situation{Now: start, Clock: 1, Counting: 2, Moved: true}, consent.Withdrawn},
	} {
		require.Equal(t, row.want, row.request.StateIn(row.in), row.name)
	}
}

func TestWhoCounts(t *testing.T) {
	settings := consent.DefaultSettings()
	settings.AuthMount = "auth_userpass_1"
	bob := consent.Person{ID: "b0b", Name: "bob", Groups: []consent.Group{{ID: "g1", Name: "key-approvers"}}, Mounts: []string{"auth_userpass_1"}}
	enrolled := consent.Enrolment{Entity: "b0b", Since: start.Add(-48 * time.Hour), Acknowledged: start.Add(-48 * time.Hour)}
	request := consent.Request{
		Content: consent.Content{Requester: "a11ce"}, Rule: consent.Rule{Need: 1, Groups: []string{"key-approvers"}},
		Exclude: []consent.Exclusion{consent.ExcludeRequester, consent.ExcludeCreator, consent.ExcludeAuthor}, Created: start,
	}
	counts := func(change func(s *consent.Settings, p *consent.Person, e *consent.Enrolment, r *consent.Request)) string {
		s, p, e, r := settings, bob, enrolled, request
		change(&s, &p, &e, &r)
		return r.Counts(s, p, &e, start)
	}
	type (
		s = *consent.Settings
		p = *consent.Person
		e = *consent.Enrolment
		r = *consent.Request
	)
	require.Empty(t, counts(func(s, p, e, r) {}))
	require.Empty(t, counts(func(_ s, _ p, _ e, r r) { r.Rule.Groups = []string{"g1"} }), "by the id of the group")
	require.Contains(t, request.Counts(settings, bob, nil, start), "has not enrolled")
	for want, change := range map[string]func(s, p, e, r){
		"asked for it":         func(_ s, _ p, _ e, r r) { r.Content.Requester = bob.ID },
		"made what":            func(_ s, _ p, _ e, r r) { r.Creator = bob.ID },
		"wrote the revision":   func(_ s, _ p, _ e, r r) { r.Author = bob.ID },
		"no entity":            func(_ s, p p, _ e, _ r) { p.Gone = true },
		"is disabled":          func(_ s, p p, _ e, _ r) { p.Disabled = true },
		"less than":            func(_ s, _ p, e e, _ r) { e.Since = start.Add(-time.Hour) },
		"has enrolled after":   func(s s, _ p, e e, _ r) { e.Since, e.Acknowledged, s.ApproverWait = start, start, 0 },
		"enrolled after":       func(_ s, _ p, e e, _ r) { e.Since, e.Founder = start.Add(time.Second), true },
		"has not acknowledged": func(s s, _ p, _ e, _ r) { s.AcknowledgeEvery = 48 * time.Hour },
		"no alias":             func(_ s, p p, _ e, _ r) { p.Mounts = []string{"auth_ldap_2"} },
		"in none of":           func(_ s, p p, _ e, _ r) { p.Groups = []consent.Group{{ID: "g2", Name: "others"}} },
	} {
		require.Contains(t, counts(change), want)
	}
	require.Empty(t, counts(func(_ s, _ p, e e, r r) { e.Since, e.Founder = start.Add(-time.Hour), true }), "founders do not wait")
	require.Empty(t, counts(func(_ s, _ p, _ e, r r) { r.Exclude, r.Creator, r.Author = nil, bob.ID, bob.ID }), "only who asks is always excluded")
}
