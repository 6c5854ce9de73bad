// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Tick has Vault call the periodic function of a mount now, instead of within a minute: Vault does so before it moves a mount, and
// Tick moves it away and back. A request that comes meanwhile finds no mount.
func (s *Server) Tick(t testing.TB, mount string) {
	t.Helper()
	away := mount + "-on-its-way"
	require.NoError(t, s.client.Sys().Remount(mount, away))
	require.NoError(t, s.client.Sys().Remount(away, mount))
}
