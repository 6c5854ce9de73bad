// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

func TestDefaultsOfTheFieldsThatBearOnStates(t *testing.T) {
	doc := policy.DefaultDocument()
	require.False(t, doc.AllowPinnedEncrypt)
	require.Equal(t, 2, doc.MinVersionsKept)
	require.Equal(t, policy.Allow, doc.CompromisedProcessing)
	require.Equal(t, policy.Deny, doc.SuspendedProcessing)
	require.Equal(t, []string{"rotate-manual", "suspend", "compromise", "retire", "recover", "restore", "rollback"}, doc.RequireReason)
	for text, got := range map[string][]schedule.Span{
		"0": {doc.StagingTime, doc.ArchiveAfter, doc.RetireAfter}, "14d": {doc.QuietPeriod}, "30d": {doc.DestroyDelay},
	} {
		for _, s := range got {
			require.Equal(t, span(t, text), s)
		}
	}
	require.Zero(t, doc.RollbackWindow, "no text: it follows the period")
	require.Zero(t, doc.OriginatorPeriod, "no text: it follows the period")
	require.Equal(t, span(t, "1095d"), doc.RecipientPeriod)
}

func TestOriginatorPeriodIsAYearOrThePeriodWhereNoneIsGiven(t *testing.T) {
	for period, want := range map[string]time.Duration{"90d": 365 * day, "0": 365 * day, "500d": 500 * day} {
		p := newPolicy(t, period, "0", policy.Auto)
		require.Equal(t, want, rulesFor(p).OriginatorPeriod, period)
		p.OriginatorPeriod = span(t, "0")
		require.Zero(t, rulesFor(p).OriginatorPeriod, "none, where its author says so")
	}
	require.Equal(t, 500*day+25*day, rulesFor(newPolicy(t, "500d", "5%", policy.Auto)).OriginatorPeriod)
}

func TestRollbackWindowIsADayOrAQuarterOfThePeriodWhereNoneIsGiven(t *testing.T) {
	for period, want := range map[string]time.Duration{"90d": day, "4d": day, "2d": 12 * time.Hour, "4m": time.Minute, "0": day} {
		p := newPolicy(t, period, "0", policy.Auto)
		require.Equal(t, want, rulesFor(p).RollbackWindow, period)
		p.RollbackWindow = span(t, "3h")
		require.Equal(t, 3*time.Hour, rulesFor(p).RollbackWindow, period)
	}
}

func TestReasonIsDemandedForWhatThePolicyLists(t *testing.T) {
	p := policyOf(t, func(d *policy.Document) { d.RequireReason = []string{"retire", "hold"} })
	for reason, enough := range map[string]bool{
		"": false, "too short": false, "ten bytes.": true, strings.Repeat(" ", 20): false, "  too short  ": false, "a longer reason": true,
	} {
		require.NoError(t, p.CheckReason("suspend", reason), "not listed")
		require.NoError(t, (*policy.Policy)(nil).CheckReason("retire", reason), "no policy")
		for _, op := range []acts.Name{acts.Retire, acts.Hold} {
			err := p.CheckReason(op, reason)
			if enough {
				require.NoError(t, err, reason)
				continue
			}
			require.ErrorIs(t, err, refusal.ErrInvalid, reason)
			require.ErrorContains(t, err, fmt.Sprintf(`reason: %q: policy "pci" demands a reason of at least 10 bytes for %s`, reason, op))
		}
	}
}

func TestReasonHasToMatchThePatternOfThePolicy(t *testing.T) {
	p := policyOf(t, func(d *policy.Document) { d.ReasonPattern = "^CHG[0-9]+ " })
	require.NoError(t, p.CheckReason("retire", "CHG0042 end of life"))
	require.NoError(t, p.CheckReason("promote", "no ticket"), "no reason is demanded for it")
	for _, reason := range []string{"end of life CHG0042", "CHG end of life", "chg0042 end of life"} {
		err := p.CheckReason("retire", reason)
		require.ErrorIs(t, err, refusal.ErrInvalid)
		require.EqualError(t, err, fmt.Sprintf(`reason: %q: policy "pci" demands for retire a reason that matches reason_pattern ^CHG[0-9]+ `, reason))
	}
	require.ErrorContains(t, p.CheckReason("retire", "CHG1 "), "at least 10 bytes", "the pattern does not replace the length")
	p.ReasonPattern = "(" // as nobody can have written it
	_, err := policy.Stored(*p)
	require.ErrorContains(t, err, "reason_pattern", "what cannot be read admits nothing")
}

func TestRulesAreThoseOfThePolicy(t *testing.T) {
	p, err := policy.New("pci", 1, document(t), start)
	require.NoError(t, err)
	require.Equal(t, policy.EffectiveRules{
		PinnedEncrypt: true, ErasePrivateKey: true, SuspendedProcessing: true, CompromisedProcessing: false,
		StagingTime: 2 * day, RollbackWindow: 12 * time.Hour, ArchiveAfter: 60 * day, RetireAfter: 90 * day,
		QuietPeriod: 7 * day, DestroyDelay: 45 * day, MinVersionsKept: 3, OriginatorPeriod: 400 * day, Lapses: true,
		Limits: policy.Limits{Encryptions: 1_000_000, Bytes: 1 << 40}, OnLimit: policy.OnLimitBlock,
	}, rulesFor(&p))
	require.Equal(t, policy.EffectiveRules{PinnedEncrypt: true, CompromisedProcessing: true, RollbackWindow: policy.Unlimited, DestroyDelay: 30 * day}, rulesFor(nil), "as Transit")
}

func TestRulesOfAKeyWhosePolicyIsMissingAreTheStrictestOfBoth(t *testing.T) {
	got, byDefault := policy.RulesFor(nil, true, attributes()), newPolicy(t, "90d", "0", policy.Auto)
	require.False(t, got.PinnedEncrypt)
	require.Zero(t, got.RollbackWindow, "no rollback")
	require.Zero(t, got.ArchiveAfter+got.RetireAfter, "nothing on a guess")
	require.GreaterOrEqual(t, got.QuietPeriod, byDefault.QuietPeriod.Duration)
	require.GreaterOrEqual(t, got.DestroyDelay, byDefault.DestroyDelay.Duration)
	require.GreaterOrEqual(t, got.MinVersionsKept, byDefault.MinVersionsKept)
}
