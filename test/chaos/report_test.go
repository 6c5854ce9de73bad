// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package chaos_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/chaos"
	"github.com/keylife/vault-plugin-keylife/test/chaos/check"
	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

func TestAReportKeepsWhatIsNeededToJudgeAgain(t *testing.T) {
	folder, nowhere := t.TempDir(), &chaos.Field{Cluster: &harness.Cluster{}}
	var said strings.Builder
	report, err := chaos.NewReport(folder, &said)
	require.NoError(t, err)
	require.NoError(t, report.Add(chaos.Round{Seed: 1, Faults: []schedule.Kind{schedule.Cut}, Done: 5}, nowhere, nil))
	require.NoError(t, report.Conclusion())
	require.NoDirExists(t, filepath.Join(folder, "seed-1"))

	lost := check.Finding{Kind: check.LostAct, Key: "k", Text: "gone"}
	h := &history.History{Operations: []history.Operation{{ID: 1, Act: "rotate"}}}
	require.NoError(t, report.Add(chaos.Round{Seed: 2, Findings: []check.Finding{lost}, History: h, Final: &history.Final{}}, nowhere, nil))
	require.NoError(t, report.Add(chaos.Round{Seed: 3, Broken: "no node leads", Amiss: []string{"seal: sealed already"}}, nowhere, nil))
	require.ErrorContains(t, report.Conclusion(), "seeds [2 3] are not clean")
	for _, line := range []string{"seed 1: [cut]: 5 acknowledged", "nothing lost", "1 FINDINGS, the first: lost act: k: gone", "BROKEN: no node leads", "amiss: seal: sealed already", "3 seeds, 2 of them"} {
		require.Contains(t, said.String(), line)
	}
	rounds, err := os.ReadFile(filepath.Join(folder, "rounds.jsonl"))
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(string(rounds), "\n"))
	kept, err := os.Open(filepath.Join(folder, "seed-2", "history.jsonl"))
	require.NoError(t, err)
	defer kept.Close()
	again, final, err := history.Read(kept)
	require.NoError(t, err)
	require.Equal(t, h.Operations, again.Operations)
	require.NotNil(t, final)
}
