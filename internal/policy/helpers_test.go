// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func document(t testing.TB) policy.Document {
	t.Helper()
	return policy.Document{
		Description:          "card data",
		Owner:                "payments",
		AllowedTypes:         []keytype.Type{keytype.AES256GCM96, keytype.ChaCha20Poly1305},
		MinStrengthBits:      256,
		DenyAfter:            map[keytype.Type]string{keytype.AES128GCM96: "2030-12-31"},
		NextType:             map[keytype.Type]keytype.Type{keytype.AES128GCM96: keytype.AES256GCM96},
		Exportable:           true,
		AllowPlaintextBackup: true,
		HSM:                  policy.Required,

		RotationMode:         policy.Manual,
		RotationPeriod:       span(t, "30d"),
		RotationZone:         "Europe/Berlin",
		RotationJitter:       jitter(t, "10%"),
		RotationWindow:       "0 2 * * 6",
		RotationWindowLength: span(t, "6h"),
		RotationBlackout:     []string{"2020-02-29"},
		RotationRetryBase:    span(t, "2m"),
		RotationRetryMax:     span(t, "2h"),
		RotationRetryCycles:  7,
		MaxEncryptions:       1_000_000,
		MaxBytes:             1 << 40,
		OnLimit:              policy.OnLimitBlock,
		PreChecks:            []string{"clock_sane"},
		PostChecks:           []string{"round_trip", "fingerprint_unique"},

		AllowPinnedEncrypt:    true,
		ErasePrivateKey:       true,
		StagingTime:           span(t, "2d"),
		RollbackWindow:        span(t, "12h"),
		OriginatorPeriod:      span(t, "400d"),
		RecipientPeriod:       span(t, "730d"),
		ArchiveAfter:          span(t, "60d"),
		RetireAfter:           span(t, "90d"),
		QuietPeriod:           span(t, "7d"),
		DestroyDelay:          span(t, "45d"),
		MinVersionsKept:       3,
		CompromisedProcessing: policy.Deny,
		SuspendedProcessing:   policy.Allow,
		RequireReason:         []string{"retire", "hold"},
		ReasonPattern:         "^CHG[0-9]+ ",

		Approvals:       map[acts.Gate]string{"retire": "2 of key-approvers"},
		ApprovalTTL:     span(t, "48h"),
		ExecutionTTL:    span(t, "12h"),
		ApprovalExclude: []consent.Exclusion{consent.ExcludeAuthor},
		DrillEvery:      span(t, "365d"),
		NotifyBefore:    span(t, "14d"),

		Labels:     map[string]string{"env": "prod"},
		Compliance: []string{"pci-dss-4.0.1/3.7.4"},
		Source:     "policy {}",
	}
}

func policyOf(t testing.TB, edits ...func(*policy.Document)) *policy.Policy {
	t.Helper()
	doc := policy.DefaultDocument()
	doc.Owner = "payments"
	for _, edit := range edits {
		edit(&doc)
	}
	p, err := policy.New("pci", 1, doc, start)
	require.NoError(t, err)
	return &p
}

func newPolicy(t testing.TB, period, spread string, mode policy.RotationMode) *policy.Policy {
	t.Helper()
	return policyOf(t, func(d *policy.Document) {
		d.RotationPeriod, d.RotationJitter, d.RotationMode = span(t, period), jitter(t, spread), mode
	})
}

func span(t testing.TB, text string) schedule.Span {
	t.Helper()
	s, err := schedule.ParseSpan(text)
	require.NoError(t, err)
	return s
}

func jitter(t testing.TB, text string) schedule.Jitter {
	t.Helper()
	j, err := schedule.ParseJitter(text)
	require.NoError(t, err)
	return j
}

func utc(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at.UTC()
}

// attributes are those of a plain key.
func attributes() policy.Attributes { return policy.Attributes{Type: keytype.Default} }

// rulesFor are the rules that a policy puts in force for such a key; nil: none does.
func rulesFor(p *policy.Policy) policy.EffectiveRules { return policy.RulesFor(p, false, attributes()) }
