// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clockVariable tells a plugin built with the tag testclock which file holds how far its time is ahead.
const clockVariable = "KEYLIFE_TEST_CLOCK"

// clock is the plugin's time: the machine's, and a duration that stands in a file.
type clock struct {
	path  string
	ahead time.Duration
}

// Now is the time as the plugin has it.
func (s *Server) Now() time.Time {
	if s.clock == nil {
		return time.Now()
	}
	return time.Now().Add(s.clock.ahead)
}

// Advance moves the plugin's time, back where d is negative. The server must have been started with Options.Clock.
func (s *Server) Advance(t testing.TB, d time.Duration) {
	t.Helper()
	require.NotNil(t, s.clock, "the server has no clock to move")
	require.NoError(t, s.clock.move(d))
}

func (c *clock) move(d time.Duration) error {
	next := c.ahead + d
	// Renamed when complete: the plugin may read at any moment, and takes half a duration for none.
	partial := c.path + ".partial"
	if err := os.WriteFile(partial, []byte(next.String()), 0o600); err != nil {
		return err
	}
	if err := os.Rename(partial, c.path); err != nil {
		return err
	}
	c.ahead = next
	return nil
}
