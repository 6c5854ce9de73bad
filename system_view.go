// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"sync/atomic"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// cachedSystemView remembers the replication state between two ticks. The SDK asks for it at every request, which for an
// external plugin is a call back into Vault; a node whose state changes in a way that matters here sets its mounts
// up anew.
type cachedSystemView struct {
	logical.SystemView
	state atomic.Pointer[consts.ReplicationState]
}

// ReplicationState is logical.SystemView's.
func (v *cachedSystemView) ReplicationState() consts.ReplicationState {
	if state := v.state.Load(); state != nil {
		return *state
	}
	return v.refresh()
}

func (v *cachedSystemView) refresh() consts.ReplicationState {
	state := v.SystemView.ReplicationState()
	v.state.Store(&state)
	return state
}
