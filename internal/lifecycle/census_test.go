// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

func TestWhatIsCountedOfAKeyIsWhatLookingAtEachVersionShows(t *testing.T) {
	r := chance(29)
	states, destructions := map[lifecycle.State]int{}, 0
	for range racetest.Size(t, 200) {
		k := newKey(t, 1+r.IntN(8))
		for i := range 60 {
			at := later.Add(time.Duration(i) * 7 * time.Hour)
			next, err := anyMove(r, k, at).do(k)
			if err != nil {
				continue
			}
			k = next
			want := map[lifecycle.State]int{}
			for v := 1; v <= k.Latest; v++ {
				want[k.State(v)]++
				states[k.State(v)]++
			}
			require.Equal(t, want, lifecycle.VersionsByState(&k))

			var planned time.Time
			for _, entry := range lifecycle.PendingTransitions(k, nil, at) {
				if entry.Op == lifecycle.Destroy {
					planned = entry.At
					destructions++
					break
				}
			}
			require.Equal(t, planned, lifecycle.NextDestruction(&k))
		}
	}
	require.Len(t, states, 8, "each state was there")
	require.Positive(t, destructions)
}
