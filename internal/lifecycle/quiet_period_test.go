// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

func TestQuietPeriodsThatRunAreKept(t *testing.T) {
	const day = 24 * time.Hour
	archived := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(days int) time.Time { return archived.Add(time.Duration(days) * day) }
	denied := map[int]time.Time{0: at(5), 2: at(3)}
	k := lifecycle.Key{
		Latest: 8, Primary: 8, Status: lifecycle.KeyStatus{State: lifecycle.KeyArchived, At: at(1), RetireNotBefore: at(2)},
		Overrides: map[int]lifecycle.StateOverride{
			1: {State: lifecycle.Archived, At: archived, RetireNotBefore: at(1)},
			2: {State: lifecycle.Archived, At: archived, RetireNotBefore: at(1)},
			3: {State: lifecycle.Archived, At: archived, RetireNotBefore: at(40)},
			4: {State: lifecycle.Compromised, At: at(2)},
			5: {State: lifecycle.Retired, At: archived, DestroyAt: at(1)},
			6: {State: lifecycle.Deactivated, At: archived, ArchiveAt: at(1)},
			7: {State: lifecycle.Suspended, At: archived},
		},
	}
	kept := k.PinQuietPeriods(policy.EffectiveRules{QuietPeriod: 14 * day}, func(v int) time.Time { return denied[v] })
	for v, want := range map[int]time.Time{1: at(14), 2: at(17), 3: at(40), 4: at(16), 5: at(1), 6: at(1), 7: {}} {
		require.Equal(t, want, kept.Overrides[v].Until(), "version %d", v)
	}
	require.Equal(t, at(19), kept.Status.Until())
	require.Equal(t, at(1), k.Overrides[1].Until(), "the key is shared")
	require.Equal(t, kept, kept.PinQuietPeriods(policy.EffectiveRules{}, func(int) time.Time { return time.Time{} }), "never shorter")

	k.Status, k.Overrides = lifecycle.KeyStatus{State: lifecycle.KeyRetired, At: at(1), DestroyAt: at(2)}, nil
	require.Equal(t, k, k.PinQuietPeriods(policy.EffectiveRules{QuietPeriod: 14 * day}, func(v int) time.Time { return denied[v] }))
}
