// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTurnsOfANameComeOneByOneAndLeaveNothingBehind(t *testing.T) {
	var all turns
	var wait sync.WaitGroup
	inside, served := 0, 0
	for range 64 {
		wait.Go(func() {
			end, err := all.take(context.Background(), "k")
			if err != nil {
				return
			}
			defer end()
			if inside++; inside == 1 {
				served++
			}
			inside--
		})
	}
	wait.Wait()
	require.Equal(t, 64, served)
	require.Empty(t, all.queue)
}

func TestATurnIsNotWaitedForLongerThanTheRequestLasts(t *testing.T) {
	var all turns
	end, err := all.take(t.Context(), "k")
	require.NoError(t, err)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = all.take(over, "k")
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, all.busy("k"))
	other, err := all.take(t.Context(), "other")
	require.NoError(t, err, "nobody has the turn of another name")
	other()
	end()
	require.False(t, all.busy("k"))
	require.Empty(t, all.queue)
}
