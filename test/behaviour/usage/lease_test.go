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
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// bytesOf is how many bytes a version is said to have encrypted.
func bytesOf(m *mounttest.Mount, version int) int64 {
	m.T.Helper()
	return m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d", version))).Data["bytes"].(int64)
}

func TestACrashCountsOneLeaseTooMuchOfEachHoweverUnevenlyTheyAreUsed(t *testing.T) {
	const encryptions, bytes = 2560, 1 << 20 // leases of 10 and 4096
	for name, text := range map[string]string{"large texts": strings.Repeat("x", 3000), "empty texts": ""} {
		t.Run(name, func(t *testing.T) {
			m := metered(t, "max_encryptions", encryptions, "max_bytes", bytes)
			const n = 200
			for range n {
				require.Equal(t, 1, mounttest.VersionOf(m.Encrypt("k", text)))
			}
			require.EqualValues(t, n, counted(m, 1))
			require.EqualValues(t, n*len(text), bytesOf(m, 1))
			m.Restart()
			require.InDelta(t, n, counted(m, 1), encryptions/256)
			require.InDelta(t, n*len(text), bytesOf(m, 1), bytes/256)
		})
	}
}

func TestALimitThatIsLoweredHoldsFromTheNextEncryptionOn(t *testing.T) {
	m := metered(t)
	spentBy(m, 5)
	m.Must(m.Write("policies/p", "max_encryptions", 10))
	require.EqualValues(t, 1_024, m.Rotation("k")["encryptions"], "the lease is dropped, and counts as used")
	require.Equal(t, map[int]int{2: 10, 3: 2}, spentBy(m, 12))

	m = metered(t, "max_encryptions", 2560, "on_limit", "block")
	spentBy(m, 12) // leases of 1, 1, 1, 1, 2, 5 and 10
	m.Must(m.Write("policies/p", "max_encryptions", 12))
	require.Equal(t, 400, m.Write("encrypt/k", "plaintext", mounttest.B64("x")).Status)
	require.Equal(t, []string{"deactivated"}, m.K.States())
}

func TestALimitThatIsLoweredLeavesWhatIsNotLeased(t *testing.T) {
	m := metered(t, "max_encryptions", 2560)
	spentBy(m, 12)
	m.Must(m.Write("policies/p", "max_encryptions", 25))
	require.Equal(t, map[int]int{1: 4, 2: 1}, spentBy(m, 5), "leases of 1, 1, 1, 1, 2, 5 and 10 were taken")
	m.Must(m.Write("policies/p", "description", "another revision with the same limits"))
	require.EqualValues(t, 1, counted(m, 2))
	require.Equal(t, map[int]int{2: 24, 3: 1}, spentBy(m, 25))
}

func TestALimitThatIsRaisedIsSpentToItsEnd(t *testing.T) {
	m := metered(t, "max_encryptions", 10)
	spentBy(m, 10)
	m.Must(m.Write("policies/p", "max_encryptions", 15))
	require.Equal(t, map[int]int{1: 5, 2: 1}, spentBy(m, 6))
}

func TestALimitThatIsRaisedAfterItWasReachedIsNotReachedAnyMore(t *testing.T) {
	m := metered(t, "max_encryptions", 10, "rotation_mode", "manual", "rotation_period", 0)
	spentBy(m, 11)
	require.Equal(t, "overdue", m.Rotation("k")["status"])
	m.Must(m.Write("policies/p", "max_encryptions", 0))
	m.Advance(time.Minute)
	require.Equal(t, "none", m.Rotation("k")["status"])
	require.Empty(t, m.Status()["overdue_keys"])
	m.Must(m.Write("policies/p", "max_encryptions", 1_000_000, "on_limit", "block"))
	m.Advance(time.Minute)
	require.Equal(t, map[int]int{1: 100}, spentBy(m, 100))
	require.Equal(t, []string{"active"}, m.K.States())
}

func TestARotationThatFailedAtALimitIsNotRepeatedOnceTheLimitIsRaised(t *testing.T) {
	m := metered(t, "max_encryptions", 90, "hsm", "optional")
	spentBy(m, 90)
	m.Must(m.Write("policies/p", "hsm", "required"))
	spentBy(m, 5)
	require.Equal(t, "retrying", m.Rotation("k")["status"])
	m.Must(m.Write("policies/p", "hsm", "optional", "max_encryptions", 1000))
	m.Advance(10 * time.Minute)
	require.Equal(t, 1, m.Latest("k"))
	require.Equal(t, "scheduled", m.Rotation("k")["status"])
	require.Equal(t, map[int]int{1: 905, 2: 1}, spentBy(m, 906), "it rotates at the new limit")
}

// In the ninth beyond the limit a request asks for a lease under the limit, in vain, and for one beyond. What is known
// already is neither noted again nor tried.
func TestARequestBeyondTheLimitCostsTwoLeases(t *testing.T) {
	m := metered(t, "max_encryptions", 90, "rotation_mode", "manual")
	spentBy(m, 91)
	noted := m.Storage.Key("k")
	m.Storage.Reset()
	m.Encrypt("k", "x")
	require.Equal(t, storagetest.Counts{Gets: 4, Puts: 1}, m.Storage.Reset())
	require.Equal(t, noted, m.Storage.Key("k"))
}

func TestARequestForAnOlderVersionBeyondItsLimitCostsTwoLeases(t *testing.T) {
	m := metered(t, "max_encryptions", 90, "allow_pinned_encrypt", true)
	spentBy(m, 90)
	m.K.Ops("rotate")
	pinned := func() { m.Must(m.Write("encrypt/k", "plaintext", mounttest.B64("x"), "key_version", 1)) }
	pinned()
	noted := m.Storage.Key("k")
	m.Storage.Reset()
	pinned()
	require.Equal(t, storagetest.Counts{Gets: 4, Puts: 1}, m.Storage.Reset())
	require.Equal(t, noted, m.Storage.Key("k"))
}

func TestALimitThatIsRaisedUnderARequestHoldsForIt(t *testing.T) {
	m := metered(t, "max_encryptions", 5)
	spentBy(m, 5)
	m.Storage.During("leases/k/1", func() { m.Must(m.Write("policies/p", "max_encryptions", 6)) })
	require.Equal(t, map[int]int{1: 1}, spentBy(m, 1))
	require.EqualValues(t, 6, counted(m, 1))
}

func TestAKeyThatTakesThePlaceOfOneAtItsLimitIsNotChargedForIt(t *testing.T) {
	m := metered(t, "max_encryptions", 5)
	spentBy(m, 5)
	m.Must(m.Write("keys/other", "policy", "p"))
	other := m.Storage.Key("other").ID
	m.Storage.During("leases/k/1", func() {
		for _, path := range []string{"keys/%s", "versions/%s/1"} {
			m.Storage.Plant(fmt.Sprintf(path, "k"), m.Storage.All()[fmt.Sprintf(path, "other")])
		}
		m.InvalidateKey(t.Context(), "keys/k")
	})
	require.Equal(t, map[int]int{1: 5}, spentBy(m, 5))
	require.Equal(t, other, m.Storage.Key("k").ID)
	require.Zero(t, m.Storage.Key("k").Rotation.Exhausted)
}
