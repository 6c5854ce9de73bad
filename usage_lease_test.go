// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// bytesOf is how many bytes a version is said to have encrypted.
func (m *mount) bytesOf(version int) int64 {
	m.t.Helper()
	return m.must(m.read(fmt.Sprintf("keys/k/versions/%d", version))).data["bytes"].(int64)
}

func TestACrashCountsOneLeaseTooMuchOfEachHoweverUnevenlyTheyAreUsed(t *testing.T) {
	const encryptions, bytes = 2560, 1 << 20 // leases of 10 and 4096
	for name, text := range map[string]string{"large texts": strings.Repeat("x", 3000), "empty texts": ""} {
		t.Run(name, func(t *testing.T) {
			m := metered(t, "max_encryptions", encryptions, "max_bytes", bytes)
			const n = 200
			for range n {
				require.Equal(t, 1, versionOf(m.encrypt("k", text)))
			}
			require.EqualValues(t, n, m.counted(1))
			require.EqualValues(t, n*len(text), m.bytesOf(1))
			m.restart()
			require.InDelta(t, n, m.counted(1), encryptions/256)
			require.InDelta(t, n*len(text), m.bytesOf(1), bytes/256)
		})
	}
}

func TestALimitThatIsLoweredHoldsFromTheNextEncryptionOn(t *testing.T) {
	m := metered(t)
	m.spentBy(5)
	m.must(m.write("policies/p", "max_encryptions", 10))
	require.EqualValues(t, 1_024, m.rotation("k")["encryptions"], "the lease is dropped, and counts as used")
	require.Equal(t, map[int]int{2: 10, 3: 2}, m.spentBy(12))

	m = metered(t, "max_encryptions", 2560, "on_limit", "block")
	m.spentBy(12) // leases of 1, 1, 1, 1, 2, 5 and 10
	m.must(m.write("policies/p", "max_encryptions", 12))
	require.Equal(t, 400, m.write("encrypt/k", "plaintext", b64("x")).status)
	require.Equal(t, []string{"deactivated"}, m.states())
}

func TestALimitThatIsLoweredLeavesWhatIsNotLeased(t *testing.T) {
	m := metered(t, "max_encryptions", 2560)
	m.spentBy(12)
	m.must(m.write("policies/p", "max_encryptions", 25))
	require.Equal(t, map[int]int{1: 4, 2: 1}, m.spentBy(5), "leases of 1, 1, 1, 1, 2, 5 and 10 were taken")
	m.must(m.write("policies/p", "description", "another revision with the same limits"))
	require.EqualValues(t, 1, m.counted(2))
	require.Equal(t, map[int]int{2: 24, 3: 1}, m.spentBy(25))
}

func TestALimitThatIsRaisedIsSpentToItsEnd(t *testing.T) {
	m := metered(t, "max_encryptions", 10)
	m.spentBy(10)
	m.must(m.write("policies/p", "max_encryptions", 15))
	require.Equal(t, map[int]int{1: 5, 2: 1}, m.spentBy(6))
}

func TestALimitThatIsRaisedAfterItWasReachedIsNotReachedAnyMore(t *testing.T) {
	m := metered(t, "max_encryptions", 10, "rotation_mode", "manual", "rotation_period", 0)
	m.spentBy(11)
	require.Equal(t, "overdue", m.rotation("k")["status"])
	m.must(m.write("policies/p", "max_encryptions", 0))
	m.advance(time.Minute)
	require.Equal(t, "none", m.rotation("k")["status"])
	require.Empty(t, m.status()["overdue_keys"])
	m.must(m.write("policies/p", "max_encryptions", 1_000_000, "on_limit", "block"))
	m.advance(time.Minute)
	require.Equal(t, map[int]int{1: 100}, m.spentBy(100))
	require.Equal(t, []string{"active"}, m.states())
}

func TestARotationThatFailedAtALimitIsNotRepeatedOnceTheLimitIsRaised(t *testing.T) {
	m := metered(t, "max_encryptions", 90, "hsm", "optional")
	m.spentBy(90)
	m.must(m.write("policies/p", "hsm", "required"))
	m.spentBy(5)
	require.Equal(t, "retrying", m.rotation("k")["status"])
	m.must(m.write("policies/p", "hsm", "optional", "max_encryptions", 1000))
	m.advance(10 * time.Minute)
	require.Equal(t, 1, m.latest("k"))
	require.Equal(t, "scheduled", m.rotation("k")["status"])
	require.Equal(t, map[int]int{1: 905, 2: 1}, m.spentBy(906), "it rotates at the new limit")
}

// In the ninth beyond the limit a request asks for a lease under the limit, in vain, and for one beyond. What is known
// already is neither noted again nor tried.
func TestARequestBeyondTheLimitCostsTwoLeases(t *testing.T) {
	m := metered(t, "max_encryptions", 90, "rotation_mode", "manual")
	m.spentBy(91)
	noted := m.repoKey("k")
	m.storage.Reset()
	m.encrypt("k", "x")
	require.Equal(t, storagetest.Counts{Gets: 4, Puts: 1}, m.storage.Reset())
	require.Equal(t, noted, m.repoKey("k"))
}

func TestARequestForAnOlderVersionBeyondItsLimitCostsTwoLeases(t *testing.T) {
	m := metered(t, "max_encryptions", 90, "allow_pinned_encrypt", true)
	m.spentBy(90)
	m.ops("rotate")
	pinned := func() { m.must(m.write("encrypt/k", "plaintext", b64("x"), "key_version", 1)) }
	pinned()
	noted := m.repoKey("k")
	m.storage.Reset()
	pinned()
	require.Equal(t, storagetest.Counts{Gets: 4, Puts: 1}, m.storage.Reset())
	require.Equal(t, noted, m.repoKey("k"))
}

func TestALimitThatIsRaisedUnderARequestHoldsForIt(t *testing.T) {
	m := metered(t, "max_encryptions", 5)
	m.spentBy(5)
	m.during("leases/k/1", func() { m.must(m.write("policies/p", "max_encryptions", 6)) })
	require.Equal(t, map[int]int{1: 1}, m.spentBy(1))
	require.EqualValues(t, 6, m.counted(1))
}

func TestAKeyThatTakesThePlaceOfOneAtItsLimitIsNotChargedForIt(t *testing.T) {
	m := metered(t, "max_encryptions", 5)
	m.spentBy(5)
	m.must(m.write("keys/other", "policy", "p"))
	other := m.repoKey("other").ID
	m.during("leases/k/1", func() {
		for _, path := range []string{"keys/%s", "versions/%s/1"} {
			m.plant(fmt.Sprintf(path, "k"), m.dump()[fmt.Sprintf(path, "other")])
		}
		m.engine.ForgetKey("k")
	})
	require.Equal(t, map[int]int{1: 5}, m.spentBy(5))
	require.Equal(t, other, m.repoKey("k").ID)
	require.Zero(t, m.repoKey("k").Rotation.Exhausted)
}
