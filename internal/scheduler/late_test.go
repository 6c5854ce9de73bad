// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAnEntryThatIsRestoredLateIsWorkedOffByTheNextTick is about a key that was due when its entry was found lost: the minute that
// lists it has passed.
func TestAnEntryThatIsRestoredLateIsWorkedOffByTheNextTick(t *testing.T) {
	w := rotating(t, nil)
	w.Create("k", "p")
	pass(w, 30*day-time.Hour)
	w.RemoveDue("k")
	for range 4 * 60 { // a round over all keys begins each hour
		w.Clock.Add(time.Minute)
		if w.Tick().Repaired > 0 {
			break
		}
	}
	require.Equal(t, 1, w.Stored("k").Latest)
	w.Clock.Add(time.Minute)
	w.Tick()
	require.Equal(t, 2, w.Stored("k").Latest)
}
