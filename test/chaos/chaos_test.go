// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package chaos_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/chaos"
	"github.com/keylife/vault-plugin-keylife/test/chaos/fault"
	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
)

// brief are the seeds of the short form. Their faults need neither strace nor a token.
var brief = []uint64{36, 21, 29}

func TestTheShortFormHasWhatItIsFor(t *testing.T) {
	var kinds []schedule.Kind
	for _, seed := range brief {
		plan := schedule.Draw(seed)
		kinds = append(kinds, plan.Kinds()...)
		require.False(t, plan.Token())
	}
	require.ElementsMatch(t, []schedule.Kind{schedule.KillNode, schedule.StepDown, schedule.KillPlugin}, kinds)
}

// TestNothingIsLostUnderFire plays a few seeds, or those of CHAOS_SEEDS, on as many clusters at a time as CHAOS_CLUSTERS says (1). What is
// found is kept in the folder CHAOS_OUT.
func TestNothingIsLostUnderFire(t *testing.T) {
	t.Parallel()
	seeds := seedsToPlay(t)
	token := wants(t, seeds)
	report, err := chaos.NewReport(folder(t), os.Stdout)
	require.NoError(t, err)
	queue := make(chan uint64, len(seeds))
	for _, seed := range seeds {
		queue <- seed
	}
	close(queue)
	t.Run("clusters", func(t *testing.T) {
		for i := range clusters(t) {
			t.Run(fmt.Sprintf("cluster-%d", i+1), func(t *testing.T) {
				t.Parallel()
				for n := 1; play(t, fmt.Sprintf("%d", n), queue, report, token); n++ {
				}
			})
		}
	})
	require.NoError(t, report.Conclusion())
}

// play plays seeds on a cluster until there are no more, or the cluster is broken: true. The next one begins anew.
func play(t *testing.T, name string, queue <-chan uint64, report *chaos.Report, token bool) (broken bool) {
	t.Run(name, func(t *testing.T) {
		var field *chaos.Field // is made for the first seed that is left
		for seed := range queue {
			if field == nil {
				field = chaos.NewField(t, token)
			}
			logs := field.Logs()
			fmt.Printf("seed %d: %s\n", seed, schedule.Draw(seed))
			round := field.Play(seed)
			require.NoError(t, report.Add(round, field, logs))
			if round.Broken != "" {
				broken = true
				return
			}
		}
	})
	return broken
}

func seedsToPlay(t *testing.T) []uint64 {
	t.Helper()
	list := os.Getenv("CHAOS_SEEDS")
	if list == "" {
		return brief
	}
	seeds, err := schedule.Seeds(list)
	require.NoError(t, err)
	return seeds
}

// wants tells what the faults of the seeds need, and fails the test where this machine has it not.
func wants(t *testing.T, seeds []uint64) (token bool) {
	t.Helper()
	for _, seed := range seeds {
		plan := schedule.Draw(seed)
		require.NoError(t, fault.Able(plan.Kinds()), "seed %d", seed)
		token = token || plan.Token()
	}
	return token
}

func folder(t *testing.T) string {
	t.Helper()
	if folder := os.Getenv("CHAOS_OUT"); folder != "" {
		return folder
	}
	return t.TempDir()
}

func clusters(t *testing.T) int {
	t.Helper()
	text := os.Getenv("CHAOS_CLUSTERS")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}
