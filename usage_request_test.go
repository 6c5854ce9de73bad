// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"strings"
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

// What cannot be encrypted is charged to nobody, and costs no version.

func TestAnItemThatIsRefusedIsNotCounted(t *testing.T) {
	const limit = 3
	for name, bad := range map[string][]any{
		"no base64":           {"plaintext", "#"},
		"padding cut off":     {"plaintext", "QQ"},
		"associated_data":     {"plaintext", b64("x"), "associated_data", "#"},
		"nonce":               {"plaintext", b64("x"), "nonce", b64("0123456789ab")},
		"more than max_bytes": {"plaintext", b64(strings.Repeat("x", 1001))},
	} {
		for _, onLimit := range []string{"rotate", "block"} {
			t.Run(name+" "+onLimit, func(t *testing.T) {
				m := metered(t, "max_encryptions", limit, "max_bytes", 1000, "on_limit", onLimit)
				for range 4 * limit {
					require.GreaterOrEqual(t, m.write("encrypt/k", bad...).status, 400)
				}
				require.EqualValues(t, 0, m.counted(1))
				require.Equal(t, map[int]int{1: limit}, m.spentBy(limit), "the version is as good as new")
				require.GreaterOrEqual(t, m.write("encrypt/k", bad...).status, 400)
				require.Equal(t, []string{"active"}, m.states(), "nor does it end a version that is used up")
			})
		}
	}
}

func TestADerivedKeyIsNotChargedForAMissingContext(t *testing.T) {
	m := metered(t)
	m.must(m.write("keys/d", "policy", "p", "derived", true))
	require.Equal(t, 400, m.write("encrypt/d", "plaintext", b64("x")).status)
	require.EqualValues(t, 0, m.rotation("d")["encryptions"])
}

func TestAnItemAsLargeAsTheLimitIsEncrypted(t *testing.T) {
	m := metered(t, "max_bytes", 1000)
	for version := 1; version <= 3; version++ {
		got := m.must(m.write("encrypt/k", "plaintext", b64(strings.Repeat("x", 1000))))
		require.Equal(t, version, versionOf(got.data["ciphertext"].(string)))
	}
	got := m.must(m.write("encrypt/k", "partial_failure_response_code", 200, "batch_input", []any{
		map[string]any{"plaintext": b64(strings.Repeat("x", 1001))}, map[string]any{"plaintext": b64(strings.Repeat("y", 1000))},
	}))
	rows := got.data["batch_results"].([]any)
	require.Equal(t, `plaintext: 1001 bytes: one version may protect 1000, by max_bytes of policy "p"`, rows[0].(map[string]any)["error"])
	require.Equal(t, "4", fmt.Sprint(rows[1].(map[string]any)["key_version"]))
	require.Equal(t, 4, m.latest("k"))
}

func TestABatchSeesAnotherStateOfTheKeyOnlyBehindItsLimit(t *testing.T) {
	five := make([]any, 5)
	for i := range five {
		five[i] = dataOf("plaintext", b64("x"))
	}
	m := metered(t, "max_encryptions", 2)
	var versions []int
	for _, row := range m.must(m.write("encrypt/k", "batch_input", five)).data["batch_results"].([]protectedRow) {
		versions = append(versions, row.KeyVersion)
	}
	require.Equal(t, []int{1, 1, 2, 2, 3}, versions)

	m = metered(t, "max_encryptions", 2, "on_limit", "block")
	rows := m.must(m.write("encrypt/k", "batch_input", five, "partial_failure_response_code", 207)).data["batch_results"].([]any)
	for i, row := range rows {
		_, failed := row.(map[string]any)["error"]
		require.Equal(t, i >= 2, failed, "item %d", i)
	}
}

func TestWhatIsEncryptedAfterTheLimitOpensWithTheSuccessor(t *testing.T) {
	m := metered(t, "max_encryptions", 2)
	for i := range 6 {
		text := strings.Repeat("x", i)
		require.Equal(t, text, m.decrypt("k", m.encrypt("k", text)))
	}
}
