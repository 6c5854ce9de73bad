// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
	require.EqualValues(t, 65_536, m.rotation("k")["encryptions"], "the lease is dropped, and counts as used")
	require.Equal(t, map[int]int{2: 10, 3: 2}, m.spentBy(12))

	m = metered(t, "max_encryptions", 2560, "on_limit", "block")
	m.spentBy(11)
	m.must(m.write("policies/p", "max_encryptions", 12))
	require.Equal(t, 400, m.write("encrypt/k", "plaintext", b64("x")).status)
	require.Equal(t, []string{"deactivated"}, m.states())
}

func TestALimitThatIsLoweredLeavesWhatIsNotLeased(t *testing.T) {
	m := metered(t, "max_encryptions", 2560)
	m.spentBy(11)
	m.must(m.write("policies/p", "max_encryptions", 25))
	require.Equal(t, map[int]int{1: 5, 2: 1}, m.spentBy(6), "two leases of ten were taken")
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
