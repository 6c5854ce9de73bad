// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMaterialGoesFromMemoryWithTheNameWhenAnotherNodeChangesTheKey(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{true, false} {
		m, c := keyOf3(t)
		m.must(m.write("keys/other"))
		other := m.encrypt("other", "x")
		m.decrypt("k", c[1])
		if !known { // the snapshot of the key is gone, as when it was not used for long
			require.Equal(t, 409, m.op("suspend", "cas", 1).status)
		}
		require.Contains(t, m.cached(), 3)
		m.invalidate(t.Context(), "keys/k")
		require.Equal(t, []int{1}, m.cached(), "of the other key alone")
		require.Equal(t, "x", m.decrypt("other", other))
		require.Equal(t, "secret", m.decrypt("k", c[1]))
	}
}
