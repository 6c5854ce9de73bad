// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A request that reaches a limit does what a tick does to the key, but nothing that cannot be undone.

func TestARequestAtTheLimitDestroysNothingWhileTheClockIsNotBelieved(t *testing.T) {
	m := metered(t, "max_encryptions", 5, "rotation_period", 0, "originator_period", 0, "quiet_period", 0, "destroy_delay", "30d", "min_versions_kept", 0)
	m.ops("rotate", "versions/1/archive", "versions/1/retire")
	require.NoError(t, m.tickNow())
	m.clock.add(400 * 24 * time.Hour)
	require.NoError(t, m.tickNow())
	require.True(t, m.frozen())
	due := m.repoKey("k").Due
	m.spentBy(6)
	require.Equal(t, []string{"retired", "deactivated", "active"}, m.states(), "it rotated")
	require.False(t, m.repoKey("k").Due.After(due), "a tick looks at the key no later than before")
	m.must(m.write("config/clock", "acknowledge", true))
	require.NoError(t, m.tickNow())
	require.Equal(t, "destroyed", m.state(1), "the tick goes on")
}

func TestARequestAtTheLimitRetiresNothingThatWasJustDenied(t *testing.T) {
	m := metered(t, "max_encryptions", 5, "rotation_period", 0, "quiet_period", "10d", "retire_after", "10d", "min_versions_kept", 0)
	sealed := m.encrypt("k", "x")
	m.ops("rotate", "versions/1/archive")
	m.leap(10*24*time.Hour - time.Hour)
	m.clock.add(time.Hour + 30*time.Second)
	m.refused(m.write("decrypt/k", "ciphertext", sealed))
	m.spentBy(6)
	require.Equal(t, []string{"archived", "deactivated", "active"}, m.states())
	require.NoError(t, m.tickNow())
	require.Equal(t, "archived", m.state(1), "the denial is stored, and holds the version back")
}

func TestARequestAtTheLimitPromotesAndLapses(t *testing.T) {
	m := metered(t, "max_encryptions", 4, "staging_time", "1d")
	m.must(m.op("rotate", "stage", true))
	require.Equal(t, map[int]int{1: 4, 2: 1}, m.spentBy(5))
	m = metered(t, "max_encryptions", 4, "on_limit", "block")
	m.spentBy(4)
	require.Equal(t, 400, m.write("encrypt/k", "plaintext", b64("x")).status)
	require.Equal(t, []string{"deactivated"}, m.states())
}

func TestARequestAtTheLimitDoesNotRotateForAClockThatIsNotBelieved(t *testing.T) {
	m := metered(t, "max_encryptions", 4, "on_limit", "block", "pre_checks", []any{})
	m.clock.add(20 * time.Hour)
	m.must(m.op("rotate"))
	require.NoError(t, m.tickNow())
	m.clock.add(-19 * time.Hour)
	require.NoError(t, m.tickNow())
	require.True(t, m.frozen())
	m.spentBy(4)
	m.write("encrypt/k", "plaintext", b64("x"))
	require.Equal(t, 2, m.latest("k"))
}
