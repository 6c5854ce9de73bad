// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

func TestABlackoutLeavesTimeToRotate(t *testing.T) {
	for says, edit := range map[string]func(doc){
		`rotation_blackout: "12-32": must be a day or a range of days`: func(d doc) { d.RotationBlackout = []string{"12-24", "12-32"} },
		`rotation_blackout: "2027-03-14/2027-03-01": must not end before it begins`: func(d doc) {
			d.RotationBlackout = []string{"2027-03-14/2027-03-01"}
		},
		`rotation_blackout: "01-01/06-30,07-01/12-31": covers every day of a year`: func(d doc) {
			d.RotationBlackout = []string{"01-01/06-30", "07-01/12-31"}
		},
		`rotation_blackout: "12-20/12-31": leaves no time in which rotation_window opens`: func(d doc) {
			d.RotationBlackout, d.RotationWindow = []string{"12-20/12-31"}, "0 2 25 12 *"
		},
		`rotation_blackout: 65: at most 64 entries`: func(d doc) { d.RotationBlackout = slices.Repeat([]string{"12-24"}, 65) },
		`rotation_zone: "Mars/Base": must be a name`: func(d doc) {
			d.RotationBlackout, d.RotationZone = []string{"12-32"}, "Mars/Base"
		},
	} {
		document := policy.DefaultDocument()
		document.Owner = "payments"
		edit(&document)
		_, err := policy.New("pci", 1, document, start)
		require.ErrorIs(t, err, refusal.ErrInvalid)
		require.ErrorContains(t, err, says)
	}
	for _, edit := range []func(doc){
		func(d doc) { d.RotationBlackout = slices.Repeat([]string{"12-24"}, 64) },
		func(d doc) { d.RotationBlackout = []string{"01-01/12-30"} },
		func(d doc) { d.RotationBlackout, d.RotationWindow = []string{"12-20/12-24"}, "0 2 25 12 *" },
		func(d doc) {
			d.RotationBlackout, d.RotationWindow, d.RotationWindowLength = []string{"12-25"}, "0 22 25 12 *", span(t, "4h")
		}, // the last two hours are left
		func(d doc) { d.RotationBlackout, d.RotationWindow = []string{"2026-01-01/2026-12-31"}, "0 2 25 12 *" },
	} {
		policyOf(t, edit)
	}
}

func TestTheOriginatorPeriodLastsOverABlackout(t *testing.T) {
	dark := func(d doc) {
		d.RotationPeriod, d.RotationJitter, d.RotationBlackout = span(t, "360d"), jitter(t, "0"), []string{"12-15/01-05"}
	}
	// 22 days of blackout, and 5 minutes in which nothing is planned any more
	require.Equal(t, 382*day+5*time.Minute, rulesFor(policyOf(t, dark)).OriginatorPeriod)
	document := policy.DefaultDocument()
	document.Owner = "payments"
	dark(&document)
	document.OriginatorPeriod = span(t, "382d")
	_, err := policy.New("pci", 1, document, start)
	require.EqualError(t, err, `originator_period: "382d": must be 0 or at least the rotation period with its jitter, staging_time and the time that rotation_window or rotation_blackout keeps the clock from it, together 382d5m`)
}
