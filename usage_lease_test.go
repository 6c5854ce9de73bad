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
