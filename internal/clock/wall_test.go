// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clock_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/clock"
)

func TestTimeOnTheWallIsWhatWouldBeReadBack(t *testing.T) {
	now := clock.Wall()
	text, err := now.MarshalText()
	require.NoError(t, err)
	var stored time.Time
	require.NoError(t, stored.UnmarshalText(text))
	require.Equal(t, now, stored)
}

// TestAFileDoesNotMoveTheClockOfAPluginThatIsShipped also runs with the tag testclock, where the opposite holds.
func TestAFileDoesNotMoveTheClockOfAPluginThatIsShipped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ahead")
	require.NoError(t, os.WriteFile(file, []byte("8760h"), 0o600))
	t.Setenv("KEYLIFE_TEST_CLOCK", file)
	require.Equal(t, movable, clock.Wall().After(time.Now().Add(4380*time.Hour)))
}
