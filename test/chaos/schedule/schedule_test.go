// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
)

func TestASeedGivesTheSamePlan(t *testing.T) {
	for seed := range uint64(200) {
		require.Equal(t, schedule.Draw(seed), schedule.Draw(seed))
	}
	require.NotEqual(t, schedule.Draw(1).Faults, schedule.Draw(1+uint64(len(schedule.Kinds()))).Faults, "one kind is first, and all else is the same")
}

func TestThePlanOfASeedStaysThatOfOtherReleases(t *testing.T) {
	const want = "disk-slow follower at 1.85s, 31ms into compromise, 2.62s, by 100ms; plugin-killed leader at 3.98s, 53ms into tick, 2 times, 1.3s; clock-ahead all at 7.02s, 16ms into recover, 3.31s, by 3m16.38s"
	require.Equal(t, want, schedule.Draw(7).String(), "a seed in a report has to mean the same plan: change this text together with the table of runs")
}

func TestASeedOfEachKindComesFirstInTurn(t *testing.T) {
	kinds := schedule.Kinds()
	var first []schedule.Kind
	for seed := range kinds {
		first = append(first, schedule.Draw(uint64(seed)).Faults[0].Kind)
	}
	require.ElementsMatch(t, kinds, first)
}

func TestAPlanIsShortAndItsFaultsAreInOrder(t *testing.T) {
	var amid, overlaps int
	for seed := range uint64(2000) {
		p := schedule.Draw(seed)
		require.NotEmpty(t, p.Faults)
		require.LessOrEqual(t, p.Length, 30*time.Second, "%s", p)
		require.True(t, slices.IsSortedFunc(p.Faults, func(a, b schedule.Fault) int { return int(a.At - b.At) }), "%s", p)
		for i, f := range p.Faults {
			require.Positive(t, f.For, "%s", p)
			require.Positive(t, f.Times, "%s", p)
			if f.Amid != "" {
				amid++
			}
			if i > 0 && f.At < p.Faults[i-1].At+p.Faults[i-1].For {
				overlaps++
			}
		}
	}
	require.Positive(t, amid)
	require.Positive(t, overlaps)
}

func TestSeedsAreAListOfRanges(t *testing.T) {
	seeds, err := schedule.Seeds("3, 7-9")
	require.NoError(t, err)
	require.Equal(t, []uint64{3, 7, 8, 9}, seeds)
	for _, wrong := range []string{"", "x", "3-", "9-7", "-3", "1,,2"} {
		_, err := schedule.Seeds(wrong)
		require.ErrorContains(t, err, "want a list", "%q", wrong)
	}
}
