// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduletest_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/schedule/scheduletest"
	"github.com/stretchr/testify/require"
)

func TestAClockThatIsPutForwardShowsWhatItSkippedLater(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	nightly := scheduletest.Cron{Sets: [5]map[int]bool{{30: true}, {2: true}}}
	from := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	require.Equal(t, []time.Time{time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC), time.Date(2026, 3, 30, 0, 30, 0, 0, time.UTC)},
		nightly.Walk(berlin, from, from.Add(48*time.Hour)), "half past three, an hour on, and half past two")
}
