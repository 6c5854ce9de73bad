// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/stretchr/testify/require"
)

func TestAPolicySaysWhoseConsentAnActNeeds(t *testing.T) {
	p := policyOf(t, func(d *policy.Document) {
		d.Approvals = map[acts.Gate]string{"retire": "2 of a, b", "promote": "not creator"}
		d.ApprovalTTL, d.ExecutionTTL = span(t, "1h"), span(t, "600")
	})
	rule, ok := p.Approval("retire")
	require.True(t, ok)
	require.Equal(t, consent.Rule{Need: 2, Groups: []string{"a", "b"}}, rule)
	rule, ok = p.Approval("promote")
	require.True(t, ok)
	require.Equal(t, consent.Rule{NotCreator: true}, rule)
	_, ok = p.Approval("archive")
	require.False(t, ok)
	require.Equal(t, []time.Duration{time.Hour, 10 * time.Minute}, []time.Duration{p.ApprovalTTL(), p.ExecutionTTL()})
}

func TestNoPolicyAsksForNobodysConsent(t *testing.T) {
	var none *policy.Policy
	_, ok := none.Approval("retire")
	require.False(t, ok)
	for _, p := range []*policy.Policy{none, policyOf(t), {}} {
		require.Equal(t, []time.Duration{consent.DefaultApprovalTTL, consent.DefaultExecutionTTL}, []time.Duration{p.ApprovalTTL(), p.ExecutionTTL()})
	}
}

func TestARuleOfConsentHasOneForm(t *testing.T) {
	doc, err := policy.DefaultDocument().Edit(map[string]any{"approvals": map[string]string{"retire": " 2 of a,b ", "promote": "not creator", "x": "?"}})
	require.NoError(t, err)
	require.Equal(t, map[acts.Gate]string{"retire": "2 of a, b", "promote": "not creator", "x": "?"}, doc.Approvals)
}

// TestWhatSaysNothingNewIsNotStored holds what keeps the hashes of the first release.
func TestWhatSaysNothingNewIsNotStored(t *testing.T) {
	for _, f := range policy.Fields() {
		require.Equal(t, f.Sparse, f.LeftOut(policy.DefaultDocument()), f.Name)
		absent, err := f.Parse(nil)
		require.NoError(t, err)
		if f.Sparse {
			require.Equal(t, f.Value(policy.DefaultDocument()), absent, "%s reads back as it was", f.Name)
			require.False(t, f.LeftOut(document(t)), f.Name)
		}
	}
	none := policy.DefaultDocument()
	none.ApprovalExclude = []consent.Exclusion{}
	for _, f := range policy.Fields() {
		require.Equal(t, f.Sparse && f.Name != "approval_exclude", f.LeftOut(none), "%s: an empty list is another than the default", f.Name)
	}
}

func TestAPolicyWarnsOfRequestsThatItVoidsAndOfRulesThatNothingGuards(t *testing.T) {
	warned := func(period string, approvals map[acts.Gate]string) []string {
		return policyOf(t, func(d *policy.Document) {
			d.RotationPeriod, d.RollbackWindow, d.Approvals = span(t, period), span(t, "0"), approvals
		}).Warnings()
	}
	asks := map[acts.Gate]string{"retire": "2 of a", "unhold": "1 of a", "promote": "not creator", "policy": "1 of a"}
	require.Equal(t, []string{
		"approvals: keys rotate every 2d, and approval_ttl is 3d: keys that rotate faster than people answer void their requests (unhold, retire)",
	}, warned("2d", asks))
	require.Empty(t, warned("3d", asks))
	require.Empty(t, warned("0", asks))
	require.Empty(t, warned("2d", map[acts.Gate]string{"promote": "not creator", "policy": "1 of a"}), "a rotation does not void these")
	require.Equal(t, []string{"approvals: there is no rule for policy: who may write the policy can take its rules away"}, warned("0", map[acts.Gate]string{"promote": "not creator"}))
	require.Empty(t, warned("0", nil))
}
