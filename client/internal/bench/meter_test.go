// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheStatOfAProcessIsRead(t *testing.T) {
	pid, parent, ticks, err := parseStat("42 (a (b) c) S 7 1 1 0 -1 4194560 100 0 0 0 10 20 300 4000 20 0 1 0 5 0 0")
	require.NoError(t, err)
	require.Equal(t, []int{42, 7, 4330}, []int{pid, parent, ticks})
	for _, stat := range []string{"", "42", "42 (a) S 7", "x (a) S 7 1 1 0 -1 4194560 100 0 0 0 10 20 300 4000 20"} {
		_, _, _, err := parseStat(stat)
		require.Error(t, err, "%q", stat)
	}
}

func TestTheCPUOfAProcessIsWithThoseBelowIt(t *testing.T) {
	parents := map[int]int{2: 1, 3: 2, 4: 3, 5: 1}
	require.True(t, below(parents, 4, 2))
	require.True(t, below(parents, 2, 2))
	require.False(t, below(parents, 5, 2))
	require.False(t, below(parents, 9, 2), "a process whose parent ended")
	_, err := treeTicks(os.Getpid())
	require.NoError(t, err)
	_, err = treeTicks(1 << 30)
	require.ErrorContains(t, err, "is not there")
}

func TestMedianAndRatio(t *testing.T) {
	require.InDelta(t, 2, median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 4, ratio([]float64{4, 8, 30}, []float64{1, 2, 3}), 1e-9)
}
