// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// The kernel is asked about this test, which opens files and takes memory.
func TestAProcessIsSeenAsItIs(t *testing.T) {
	before, err := look(os.Getpid())
	require.NoError(t, err)
	for range 20 {
		f, err := os.Open(os.DevNull)
		require.NoError(t, err)
		defer f.Close()
	}
	memory := make([]byte, 64<<20)
	for i := range memory {
		memory[i] = byte(i)
	}
	after, err := look(os.Getpid())
	require.NoError(t, err)
	runtime.KeepAlive(memory)
	require.InDelta(t, before.Files+20, after.Files, 3)
	require.Greater(t, after.Resident-before.Resident, int64(50<<20))
	require.GreaterOrEqual(t, after.CPU, before.CPU)
	require.Positive(t, after.Threads)
	_, err = look(1 << 30)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// The mix has what it is said to have: each type of keys, each operation, by its share.
func TestTheMixHasAllOfIt(t *testing.T) {
	kinds := map[string]int{}
	for i := range 300 {
		kinds[kindOf(i)]++
	}
	for _, of := range types {
		require.Equal(t, 3*of.share, kinds[of.name], of.name)
	}
	seen := map[string]int{}
	for at := range total {
		seen[chosen(at).name]++
	}
	for _, o := range operations {
		require.Equal(t, o.weight, seen[o.name], o.name)
	}
}
