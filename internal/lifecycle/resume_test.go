// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/stretchr/testify/require"
)

// resumed is a version that was suspended a hundred days after the start, and is resumed the days after.
func resumed(t testing.TB, k lifecycle.Key, v, days int, rules policy.EffectiveRules) lifecycle.Key {
	t.Helper()
	return step(t, step(t, k, lifecycle.Suspend, v, free(later)), lifecycle.Resume, v,
		lifecycle.Order{At: later.Add(time.Duration(days) * day), Rules: rules})
}

func TestADeactivationIsDatedAsBeforeOnceTheVersionIsResumed(t *testing.T) {
	back, _, err := newKey(t, 5).Apply(lifecycle.Rollback, 0, free(later.Add(-day)))
	require.NoError(t, err)
	recovered := steps(t, newKey(t, 5), 3, lifecycle.Archive, lifecycle.Recover)
	for name, row := range map[string]struct {
		key lifecycle.Key
		v   int
	}{
		"by its successor": {newKey(t, 5), 3}, "by a rollback": {back, 5}, "by a recovery": {recovered, 3},
	} {
		k := resumed(t, row.key, row.v, 1, policy.EffectiveRules{})
		require.Equal(t, row.key.Overrides, k.Overrides, name)
	}
}

func TestAVersionThatIsSupersededWhileItIsSuspendedIsDeactivatedSinceThen(t *testing.T) {
	for _, grow := range []func(lifecycle.Key) lifecycle.Key{
		func(k lifecycle.Key) lifecycle.Key {
			return rotated(t, k, lifecycle.BySchedule, "", 0, later.Add(day))
		},
		func(k lifecycle.Key) lifecycle.Key {
			k, err := k.Stage(lifecycle.ByOperator, "", time.Time{}, later)
			require.NoError(t, err)
			return step(t, k, lifecycle.Promote, 6, free(later.Add(day)))
		},
	} {
		k := grow(step(t, newKey(t, 5), lifecycle.Suspend, 5, free(later)))
		require.Equal(t, lifecycle.Suspended, k.State(5))
		k = step(t, k, lifecycle.Resume, 5, free(later.Add(9*day)))
		require.Equal(t, lifecycle.StateOverride{State: lifecycle.Deactivated, At: later.Add(day)}, k.Overrides[5])
	}
}

func TestASuspensionOfAnEarlierReleaseDatesTheDeactivation(t *testing.T) {
	k := newKey(t, 5)
	k.Overrides = map[int]lifecycle.StateOverride{2: {State: lifecycle.Suspended, At: later}}
	k = step(t, k, lifecycle.Resume, 2, free(later.Add(day)))
	require.Equal(t, lifecycle.StateOverride{State: lifecycle.Deactivated, At: later}, k.Overrides[2])
}

func TestAVersionIsResumedAsItsPeriodsHaveLeftIt(t *testing.T) {
	limited := free(later.Add(-day))
	limited.Until = later.Add(3 * day)
	forATime := step(t, steps(t, newKey(t, 5), 2, lifecycle.Archive), lifecycle.Recover, 2, limited)
	const active, deactivated, archived = lifecycle.Active, lifecycle.Deactivated, lifecycle.Archived
	for name, row := range map[string]struct {
		key     lifecycle.Key
		v, days int
		terms   policy.EffectiveRules
		want    lifecycle.State
	}{
		"before archive_after":     {newKey(t, 5), 2, 1, policy.EffectiveRules{ArchiveAfter: 100 * day}, deactivated}, // since the second day
		"at archive_after":         {newKey(t, 5), 2, 2, policy.EffectiveRules{ArchiveAfter: 100 * day}, archived},
		"kept":                     {newKey(t, 5), 2, 2, policy.EffectiveRules{ArchiveAfter: 100 * day, MinVersionsKept: 5}, deactivated},
		"nothing archives":         {newKey(t, 5), 2, 900, policy.EffectiveRules{}, deactivated},
		"before the limit":         {forATime, 2, 2, policy.EffectiveRules{ArchiveAfter: 1}, deactivated},
		"at the limit":             {forATime, 2, 3, policy.EffectiveRules{}, archived},
		"before originator_period": {newKey(t, 5), 5, 0, policy.EffectiveRules{OriginatorPeriod: 97 * day, Lapses: true}, active}, // since the fourth
		"at originator_period":     {newKey(t, 5), 5, 1, policy.EffectiveRules{OriginatorPeriod: 97 * day, Lapses: true}, deactivated},
		"rotated by the clock":     {newKey(t, 5), 5, 9, policy.EffectiveRules{OriginatorPeriod: 97 * day}, active},
		"no originator_period":     {newKey(t, 5), 5, 9, policy.EffectiveRules{Lapses: true}, active},
	} {
		k := resumed(t, row.key, row.v, row.days, row.terms)
		require.Equal(t, row.want, k.State(row.v), name)
		if row.v == 5 && row.want == deactivated {
			require.Zero(t, k.Primary)
			require.True(t, k.Overrides[5].Lapsed, "it never protects again")
		}
	}
}

func TestAVersionArchivedWhenItIsResumedHasItsQuietPeriod(t *testing.T) {
	k := resumed(t, newKey(t, 5), 2, 9, policy.EffectiveRules{ArchiveAfter: day, QuietPeriod: 14 * day})
	require.Equal(t, lifecycle.StateOverride{State: lifecycle.Archived, At: later.Add(9 * day), RetireNotBefore: later.Add(23 * day)}, k.Overrides[2])
}

func TestAVersionOfWhichOnlyTheStoreKnowsTheDateIsResumedAndLeftToTheClock(t *testing.T) {
	k := newKey(t, 5)
	k.Recent = nil
	k = resumed(t, k, 2, 9, policy.EffectiveRules{ArchiveAfter: day})
	require.Equal(t, lifecycle.Deactivated, k.State(2))
	require.Empty(t, k.Overrides)
}
