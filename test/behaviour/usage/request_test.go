// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package usage_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// A request that reaches a limit does what a tick does to the key, but nothing that cannot be undone.

func TestARequestAtTheLimitDestroysNothingWhileTheClockIsNotBelieved(t *testing.T) {
	m := metered(t, "max_encryptions", 5, "rotation_period", 0, "originator_period", 0, "quiet_period", 0, "destroy_delay", "30d", "min_versions_kept", 0)
	m.K.Ops("rotate", "versions/1/archive", "versions/1/retire")
	require.NoError(t, m.Tick())
	m.Clock.Add(400 * 24 * time.Hour)
	require.NoError(t, m.Tick())
	require.True(t, m.Frozen())
	due := m.Storage.Key("k").Due
	spentBy(m, 6)
	require.Equal(t, []string{"retired", "deactivated", "active"}, m.K.States(), "it rotated")
	require.False(t, m.Storage.Key("k").Due.After(due), "a tick looks at the key no later than before")
	m.Must(m.Write("config/clock", "acknowledge", true))
	require.NoError(t, m.Tick())
	require.Equal(t, "destroyed", m.K.State(1), "the tick goes on")
}

func TestARequestAtTheLimitRetiresNothingThatWasJustDenied(t *testing.T) {
	m := metered(t, "max_encryptions", 5, "rotation_period", 0, "quiet_period", "10d", "retire_after", "10d", "min_versions_kept", 0)
	sealed := m.Encrypt("k", "x")
	m.K.Ops("rotate", "versions/1/archive")
	m.Leap(10*24*time.Hour - time.Hour)
	m.Clock.Add(time.Hour + 30*time.Second)
	m.Refused(m.Write("decrypt/k", "ciphertext", sealed))
	spentBy(m, 6)
	require.Equal(t, []string{"archived", "deactivated", "active"}, m.K.States())
	require.NoError(t, m.Tick())
	require.Equal(t, "archived", m.K.State(1), "the denial is stored, and holds the version back")
}

func TestARequestAtTheLimitPromotesAndLapses(t *testing.T) {
	m := metered(t, "max_encryptions", 4, "staging_time", "1d")
	m.Must(m.K.Op("rotate", "stage", true))
	require.Equal(t, map[int]int{1: 4, 2: 1}, spentBy(m, 5))
	m = metered(t, "max_encryptions", 4, "on_limit", "block")
	spentBy(m, 4)
	require.Equal(t, 400, m.Write("encrypt/k", "plaintext", mounttest.B64("x")).Status)
	require.Equal(t, []string{"deactivated"}, m.K.States())
}

func TestARequestAtTheLimitDoesNotRotateForAClockThatIsNotBelieved(t *testing.T) {
	m := metered(t, "max_encryptions", 4, "on_limit", "block", "pre_checks", []any{})
	m.Clock.Add(20 * time.Hour)
	m.Must(m.K.Op("rotate"))
	require.NoError(t, m.Tick())
	m.Clock.Add(-19 * time.Hour)
	require.NoError(t, m.Tick())
	require.True(t, m.Frozen())
	spentBy(m, 4)
	m.Write("encrypt/k", "plaintext", mounttest.B64("x"))
	require.Equal(t, 2, m.Latest("k"))
}

// What cannot be encrypted is charged to nobody, and costs no version.

func TestAnItemThatIsRefusedIsNotCounted(t *testing.T) {
	const limit = 3
	for name, bad := range map[string][]any{
		"no base64":           {"plaintext", "#"},
		"padding cut off":     {"plaintext", "QQ"},
		"associated_data":     {"plaintext", mounttest.B64("x"), "associated_data", "#"},
		"nonce":               {"plaintext", mounttest.B64("x"), "nonce", mounttest.B64("0123456789ab")},
		"more than max_bytes": {"plaintext", mounttest.B64(strings.Repeat("x", 1001))},
	} {
		for _, onLimit := range []string{"rotate", "block"} {
			t.Run(name+" "+onLimit, func(t *testing.T) {
				m := metered(t, "max_encryptions", limit, "max_bytes", 1000, "on_limit", onLimit)
				for range 4 * limit {
					require.GreaterOrEqual(t, m.Write("encrypt/k", bad...).Status, 400)
				}
				require.EqualValues(t, 0, counted(m, 1))
				require.Equal(t, map[int]int{1: limit}, spentBy(m, limit), "the version is as good as new")
				require.GreaterOrEqual(t, m.Write("encrypt/k", bad...).Status, 400)
				require.Equal(t, []string{"active"}, m.K.States(), "nor does it end a version that is used up")
			})
		}
	}
}

func TestADerivedKeyIsNotChargedForAMissingContext(t *testing.T) {
	m := metered(t)
	m.Must(m.Write("keys/d", "policy", "p", "derived", true))
	require.Equal(t, 400, m.Write("encrypt/d", "plaintext", mounttest.B64("x")).Status)
	require.EqualValues(t, 0, m.Rotation("d")["encryptions"])
}

func TestAnItemAsLargeAsTheLimitIsEncrypted(t *testing.T) {
	m := metered(t, "max_bytes", 1000)
	for version := 1; version <= 3; version++ {
		got := m.Must(m.Write("encrypt/k", "plaintext", mounttest.B64(strings.Repeat("x", 1000))))
		require.Equal(t, version, mounttest.VersionOf(got.Data["ciphertext"].(string)))
	}
	got := m.Must(m.Write("encrypt/k", "partial_failure_response_code", 200, "batch_input", []any{
		map[string]any{"plaintext": mounttest.B64(strings.Repeat("x", 1001))}, map[string]any{"plaintext": mounttest.B64(strings.Repeat("y", 1000))},
	}))
	rows := got.Data["batch_results"].([]any)
	require.Equal(t, `plaintext: 1001 bytes: one version may protect 1000, by max_bytes of policy "p"`, rows[0].(map[string]any)["error"])
	require.Equal(t, "4", fmt.Sprint(rows[1].(map[string]any)["key_version"]))
	require.Equal(t, 4, m.Latest("k"))
}

func TestABatchSeesAnotherStateOfTheKeyOnlyBehindItsLimit(t *testing.T) {
	five := make([]any, 5)
	for i := range five {
		five[i] = mounttest.Data("plaintext", mounttest.B64("x"))
	}
	m := metered(t, "max_encryptions", 2)
	var versions []int
	for _, row := range mounttest.Rows(t, m.Must(m.Write("encrypt/k", "batch_input", five))) {
		versions = append(versions, row.KeyVersion)
	}
	require.Equal(t, []int{1, 1, 2, 2, 3}, versions)

	m = metered(t, "max_encryptions", 2, "on_limit", "block")
	rows := m.Must(m.Write("encrypt/k", "batch_input", five, "partial_failure_response_code", 207)).Data["batch_results"].([]any)
	for i, row := range rows {
		_, failed := row.(map[string]any)["error"]
		require.Equal(t, i >= 2, failed, "item %d", i)
	}
}

func TestWhatIsEncryptedAfterTheLimitOpensWithTheSuccessor(t *testing.T) {
	m := metered(t, "max_encryptions", 2)
	for i := range 6 {
		text := strings.Repeat("x", i)
		require.Equal(t, text, m.Decrypt("k", m.Encrypt("k", text)))
	}
}
