// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// Snapshot takes a snapshot of the whole storage, as an operator's backup does.
func (s *Server) Snapshot(t testing.TB) []byte {
	t.Helper()
	var snapshot bytes.Buffer
	require.NoError(t, s.client.Sys().RaftSnapshot(&snapshot))
	require.NotEmpty(t, snapshot.Bytes())
	return snapshot.Bytes()
}

// RestoreSnapshot puts the storage back to what it was. Vault goes on with that some moments later. With force, also a
// snapshot of another cluster is taken.
func (s *Server) RestoreSnapshot(t testing.TB, snapshot []byte, force bool) {
	t.Helper()
	require.NoError(t, s.client.Sys().RaftSnapshotRestore(bytes.NewReader(snapshot), force))
}
