// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/stretchr/testify/require"
)

func TestDefaultsOfTheFieldsThatBearOnStates(t *testing.T) {
	doc := lifecycle.DefaultDocument()
	require.False(t, doc.AllowPinnedEncrypt)
	require.Equal(t, 2, doc.MinVersionsKept)
	require.Equal(t, lifecycle.Allow, doc.CompromisedProcessing)
	require.Equal(t, lifecycle.Deny, doc.SuspendedProcessing)
	require.Equal(t, []string{"rotate-manual", "suspend", "compromise", "retire", "recover", "restore", "rollback"}, doc.RequireReason)
	for text, got := range map[string][]lifecycle.Span{
		"0": {doc.StagingTime, doc.ArchiveAfter, doc.RetireAfter}, "14d": {doc.QuietPeriod}, "30d": {doc.DestroyDelay},
	} {
		for _, s := range got {
			require.Equal(t, span(t, text), s)
		}
	}
	require.Zero(t, doc.RollbackWindow, "no text: it follows the period")
	require.Zero(t, doc.OriginatorPeriod, "no text: it follows the period")
}

func TestOriginatorPeriodIsAYearOrThePeriodWhereNoneIsGiven(t *testing.T) {
	for period, want := range map[string]time.Duration{"90d": 365 * day, "0": 365 * day, "500d": 500 * day} {
		p := newPolicy(t, period, "0", lifecycle.Auto)
		require.Equal(t, want, newKey(t, 1).TermsOf(p).OriginatorPeriod, period)
		p.OriginatorPeriod = span(t, "0")
		require.Zero(t, newKey(t, 1).TermsOf(p).OriginatorPeriod, "none, where its author says so")
	}
	require.Equal(t, 500*day+25*day, newKey(t, 1).TermsOf(newPolicy(t, "500d", "5%", lifecycle.Auto)).OriginatorPeriod)
}

func TestRollbackWindowIsADayOrAQuarterOfThePeriodWhereNoneIsGiven(t *testing.T) {
	for period, want := range map[string]time.Duration{"90d": day, "4d": day, "2d": 12 * time.Hour, "4m": time.Minute, "0": day} {
		p := newPolicy(t, period, "0", lifecycle.Auto)
		require.Equal(t, want, newKey(t, 1).TermsOf(p).RollbackWindow, period)
		p.RollbackWindow = span(t, "3h")
		require.Equal(t, 3*time.Hour, newKey(t, 1).TermsOf(p).RollbackWindow, period)
	}
}

// stateRules has every rule of the fields that bear on states, each at its bound and one past it.
func stateRules(t *testing.T) []struct {
	name string
	edit func(*lifecycle.Document)
	text string // empty: valid
} {
	type doc = *lifecycle.Document
	return []struct {
		name string
		edit func(*lifecycle.Document)
		text string
	}{
		{"shortest delay", func(d doc) { d.DestroyDelay = span(t, "24h") }, ""},
		{"delay too short", func(d doc) { d.DestroyDelay = span(t, "23h59m59s") }, `destroy_delay: "23h59m59s": must be between 24h and 3650d`},
		{"no delay", func(d doc) { d.DestroyDelay = span(t, "0") }, `destroy_delay: "0": `},
		{"longest delay", func(d doc) { d.DestroyDelay = span(t, "3650d") }, ""},
		{"delay too long", func(d doc) { d.DestroyDelay = span(t, "3650d1s") }, `destroy_delay: "3650d1s": `},
		{"keep none", func(d doc) { d.MinVersionsKept = 0 }, ""},
		{"keep fewer than none", func(d doc) { d.MinVersionsKept = -1 }, "min_versions_kept: -1: must be between 0 and 2048"},
		{"keep most", func(d doc) { d.MinVersionsKept = 2048 }, ""},
		{"keep too many", func(d doc) { d.MinVersionsKept = 2049 }, "min_versions_kept: 2049: "},
		{"unknown rule", func(d doc) { d.CompromisedProcessing = "" }, `compromised_processing: "": must be allow or deny`},
		{"rule in capitals", func(d doc) { d.SuspendedProcessing = "Deny" }, `suspended_processing: "Deny": must be allow or deny`},
		{"other rules", func(d doc) { d.CompromisedProcessing, d.SuspendedProcessing = lifecycle.Allow, lifecycle.Deny }, ""},
		{"longest staging", func(d doc) { d.StagingTime = span(t, "29d11h59m59s") }, ""},
		{
			"staging too long", func(d doc) { d.StagingTime = span(t, "29d12h") },
			`staging_time: "29d12h": staging_time and rollback_window must together be shorter than rotation_period, which is 30d`,
		},
		{"window too long", func(d doc) { d.StagingTime, d.RollbackWindow = span(t, "0"), span(t, "30d") }, "staging_time and rollback_window"},
		{"staging without a period", func(d doc) {
			d.RotationPeriod, d.RotationJitter, d.StagingTime = span(t, "0"), jitter(t, "0"), span(t, "100d")
		}, ""},
		{"archived in the window", func(d doc) { d.ArchiveAfter = span(t, "11h") }, `archive_after: "11h": must be 0 or at least rollback_window`},
		{"archived after the window", func(d doc) { d.ArchiveAfter = span(t, "12h") }, ""},
		{"never archived", func(d doc) { d.ArchiveAfter = span(t, "0") }, ""},
		{"no originator period", func(d doc) { d.OriginatorPeriod = span(t, "0") }, ""},
		{"originator period left out", func(d doc) { d.OriginatorPeriod = lifecycle.Span{} }, ""},
		{"shortest originator period", func(d doc) { d.OriginatorPeriod = span(t, "33d") }, ""}, // 30 days and 10%
		{
			"originator period too short", func(d doc) { d.OriginatorPeriod = span(t, "32d23h") },
			`originator_period: "32d23h": must be 0 or at least rotation_period with its jitter`,
		},
		{"no reasons", func(d doc) { d.RequireReason = nil }, ""},
		{"reason for the unknown", func(d doc) { d.RequireReason = []string{"retire", "destroy"} }, `require_reason: "destroy": unknown operation; known are create, `},
	}
}

func TestFieldsThatBearOnStatesAreValidated(t *testing.T) {
	for _, row := range stateRules(t) {
		t.Run(row.name, func(t *testing.T) {
			doc := document(t)
			row.edit(&doc)
			p, err := lifecycle.NewPolicy("pci", 1, doc, start)
			if row.text == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, lifecycle.ErrInvalid)
			require.ErrorContains(t, err, row.text)
			require.Zero(t, p)
		})
	}
}

func TestReasonIsDemandedForWhatThePolicyLists(t *testing.T) {
	p, err := lifecycle.NewPolicy("pci", 1, document(t), start) // retire and hold
	require.NoError(t, err)
	for reason, enough := range map[string]bool{
		"": false, "too short": false, "ten bytes.": true, strings.Repeat(" ", 20): false, "  too short  ": false, "a longer reason": true,
	} {
		require.NoError(t, p.CheckReason("suspend", reason), "not listed")
		require.NoError(t, (*lifecycle.Policy)(nil).CheckReason("retire", reason), "no policy")
		for _, op := range []string{"retire", "hold"} {
			err := p.CheckReason(op, reason)
			if enough {
				require.NoError(t, err, reason)
				continue
			}
			require.ErrorIs(t, err, lifecycle.ErrInvalid, reason)
			require.ErrorContains(t, err, fmt.Sprintf(`reason: %q: policy "pci" demands a reason of at least 10 bytes for %s`, reason, op))
		}
	}
}

func TestTermsAreThoseOfThePolicy(t *testing.T) {
	p, err := lifecycle.NewPolicy("pci", 1, document(t), start)
	require.NoError(t, err)
	k := newKey(t, 1)
	require.Equal(t, lifecycle.Terms{
		PinnedEncrypt: true, SuspendedProcessing: true, CompromisedProcessing: false,
		StagingTime: 2 * day, RollbackWindow: 12 * time.Hour, ArchiveAfter: 60 * day, RetireAfter: 90 * day,
		QuietPeriod: 7 * day, DestroyDelay: 45 * day, MinVersionsKept: 3, OriginatorPeriod: 400 * day,
	}, k.TermsOf(&p))
	require.Equal(t, lifecycle.Terms{PinnedEncrypt: true, CompromisedProcessing: true, DestroyDelay: 30 * day}, k.TermsOf(nil), "as Transit")
}

func TestTermsOfAKeyWhosePolicyIsMissingAreTheStrictestOfBoth(t *testing.T) {
	k := newKey(t, 1)
	k.Policy = "gone"
	got, byDefault := k.TermsOf(nil), newPolicy(t, "90d", "0", lifecycle.Auto)
	require.False(t, got.PinnedEncrypt)
	require.Zero(t, got.ArchiveAfter+got.RetireAfter, "nothing on a guess")
	require.GreaterOrEqual(t, got.QuietPeriod, byDefault.QuietPeriod.Duration)
	require.GreaterOrEqual(t, got.DestroyDelay, byDefault.DestroyDelay.Duration)
	require.GreaterOrEqual(t, got.MinVersionsKept, byDefault.MinVersionsKept)
}
