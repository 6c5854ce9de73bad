// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

// start is when the keys of these tests are made.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func ptr[T any](v T) *T { return &v }

// spec is a request for a plain key.
func spec() lifecycle.Key {
	return lifecycle.Key{ID: "6b6579", Name: "orders", Type: keytype.Default}
}

// newKey returns a key with the number of versions, one made every day.
func newKey(t testing.TB, versions int) lifecycle.Key {
	t.Helper()
	k, err := lifecycle.New(spec(), start)
	require.NoError(t, err)
	for n := 1; n < versions; n++ {
		k = rotated(t, k, lifecycle.ByOperator, "", 0, start.Add(time.Duration(n)*day))
	}
	return k
}

// rotated is a rotation that succeeds.
func rotated(t testing.TB, k lifecycle.Key, trigger lifecycle.Trigger, reason string, period time.Duration, at time.Time) lifecycle.Key {
	t.Helper()
	var slot time.Time
	if trigger == lifecycle.BySchedule && period > 0 {
		slot = k.Rotation.Base.Add(period)
		for !slot.Add(period).After(at) {
			slot = slot.Add(period)
		}
	}
	next, err := k.Rotate(trigger, reason, slot, at)
	require.NoError(t, err)
	return next
}

// doc is what an edit of a policy is handed.
type doc = *policy.Document

// document is a policy text that is valid, with every field set to something that is not its default. A schedule excludes
// the period, so there is none.
func document(t testing.TB) policy.Document {
	t.Helper()
	return policy.Document{
		Description:          "card data",
		Owner:                "payments",
		AllowedTypes:         []keytype.Type{keytype.AES256GCM96, keytype.ChaCha20Poly1305},
		MinStrengthBits:      256,
		DenyAfter:            map[keytype.Type]string{keytype.AES128GCM96: "2030-12-31"},
		Exportable:           true,
		AllowPlaintextBackup: true,
		HSM:                  policy.Required,

		RotationMode:         policy.Manual,
		RotationPeriod:       span(t, "30d"),
		RotationZone:         "Europe/Berlin",
		RotationJitter:       jitter(t, "10%"),
		RotationWindow:       "0 2 * * 6",
		RotationWindowLength: span(t, "6h"),
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

		Labels:     map[string]string{"env": "prod"},
		Compliance: []string{"pci-dss-4.0.1/3.7.4"},
		Source:     "policy {}",
	}
}

// policyOf is the default policy with the edits, which has to be valid.
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

// chance is random and the same in every run; the seed tells apart the tests that use it.
func chance(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := schedule.ParseZone(name)
	require.NoError(t, err)
	return z
}

func utc(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at.UTC()
}
