// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestMaterialGoesFromMemoryWithTheNameWhenAnotherNodeChangesTheKey(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{true, false} {
		m, c := mounttest.KeyOf3(t)
		m.Must(m.Write("keys/other"))
		other := m.Encrypt("other", "x")
		m.Decrypt("k", c[1])
		if !known { // the snapshot of the key is gone, as when it was not used for long
			require.Equal(t, 409, m.K.Op("suspend", "cas", 1).Status)
		}
		require.Contains(t, mounttest.Cached(m), 3)
		m.InvalidateKey(t.Context(), "keys/k")
		require.Equal(t, []int{1}, mounttest.Cached(m), "of the other key alone")
		require.Equal(t, "x", m.Decrypt("other", other))
		require.Equal(t, "secret", m.Decrypt("k", c[1]))
	}
}

func TestANodeThatMustNotWriteDoesNotTick(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "auto_rotate_period", "1h"))
	m.Clock.Add(2 * 60 * 60 * 1e9)
	for state, local := range map[consts.ReplicationState]bool{
		consts.ReplicationPerformanceSecondary: false,
		consts.ReplicationPerformanceStandby:   false,
		consts.ReplicationDRSecondary:          true,
	} {
		m.System.ReplicationStateVal, m.System.LocalMountVal = state, local
		m.Storage.Reset()
		require.NoError(t, m.Tick())
		require.Zero(t, m.Storage.Reset().Total(), "%v", state)
	}
	m.System.ReplicationStateVal, m.System.LocalMountVal = consts.ReplicationPerformanceSecondary, true
	require.NoError(t, m.Tick())
	require.Equal(t, 2, m.Must(m.Read("keys/k")).Data["latest_version"], "a local mount of a secondary is its own")
}

func TestInvalidationMakesAnotherNodesChangeVisible(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("keys/k"))
	m.Must(m.Read("keys/k"))
	other := *m
	other.Restart()
	m.Must(m.Read("policies/p"))
	other.Must(other.Write("keys/k/rotate", "reason", "because of a test"))
	other.Must(other.Write("policies/p", "owner", "someone else"))

	m.InvalidateKey(context.Background(), "keys/k")
	m.InvalidateKey(context.Background(), "policies/p")
	m.InvalidateKey(context.Background(), "config/kek")
	require.Equal(t, 2, m.Must(m.Read("keys/k")).Data["latest_version"])
	require.Equal(t, "someone else", m.Must(m.Read("policies/p")).Data["owner"])
	require.True(t, strings.HasPrefix(m.Encrypt("k", "x"), "vault:v2:"))
}
