// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"testing"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// countingView counts what an external plugin would have to ask Vault.
type countingView struct {
	logical.StaticSystemView
	calls int
}

func (v *countingView) ReplicationState() consts.ReplicationState {
	v.calls++
	return v.StaticSystemView.ReplicationState()
}

func TestTheReplicationStateIsAskedForOnceBetweenRefreshes(t *testing.T) {
	vault := &countingView{}
	vault.ReplicationStateVal = consts.ReplicationPerformanceSecondary
	view := &vaultapi.CachedSystemView{SystemView: vault}
	for range 3 {
		require.Equal(t, consts.ReplicationPerformanceSecondary, view.ReplicationState())
	}
	require.Equal(t, 1, vault.calls)
	vault.ReplicationStateVal = consts.ReplicationPerformancePrimary
	require.Equal(t, consts.ReplicationPerformanceSecondary, view.ReplicationState())
	require.Equal(t, consts.ReplicationPerformancePrimary, view.Refresh())
	require.Equal(t, consts.ReplicationPerformancePrimary, view.ReplicationState())
	require.Equal(t, 2, vault.calls)
}
