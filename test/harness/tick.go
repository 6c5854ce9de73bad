// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tick has Vault call the periodic function of a mount now, instead of within a minute: Vault does so before it moves a mount, and
// Tick moves it away and back. A request that comes meanwhile finds no mount.
func (s *Server) Tick(t testing.TB, mount string) {
	t.Helper()
	away := mount + "-on-its-way"
	s.move(t, mount, away)
	s.move(t, away, mount)
}

// move is the client's Remount, which looks once a second whether the mount has moved.
func (s *Server) move(t testing.TB, from, to string) {
	t.Helper()
	started, err := s.client.Sys().StartRemount(from, to)
	require.NoError(t, err)
	Eventually(t, requestTimeout, func() error {
		moved, err := s.client.Sys().RemountStatus(started.MigrationID)
		require.NoError(t, err)
		if status := moved.MigrationInfo.MigrationStatus; status != "success" {
			require.NotEqual(t, "failure", status, "move %s to %s", from, to)
			return fmt.Errorf("%s is on its way to %s: %s", from, to, status)
		}
		return nil
	})
}
