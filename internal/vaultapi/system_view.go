// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"sync/atomic"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// CachedSystemView remembers the replication state from one Refresh to the next. The SDK asks for the state at every
// request, which for an external plugin is a call back into Vault; a node whose state changes in a way that matters here
// sets its mounts up anew.
type CachedSystemView struct {
	logical.SystemView
	state atomic.Pointer[consts.ReplicationState]
}

// ReplicationState is [logical.SystemView]'s.
func (v *CachedSystemView) ReplicationState() consts.ReplicationState {
	if state := v.state.Load(); state != nil {
		return *state
	}
	return v.Refresh()
}

// Refresh asks Vault.
func (v *CachedSystemView) Refresh() consts.ReplicationState {
	state := v.SystemView.ReplicationState()
	v.state.Store(&state)
	return state
}
