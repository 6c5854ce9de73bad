// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"io"
	"strings"
	"sync"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// CountingView is what Vault tells a mount of itself. It counts what an external plugin would have to ask for.
type CountingView struct {
	logical.StaticSystemView
	mu    sync.Mutex
	calls int
}

// ReplicationState is logical.SystemView's.
func (v *CountingView) ReplicationState() consts.ReplicationState {
	v.called()
	return v.StaticSystemView.ReplicationState()
}

// CachingDisabled is logical.SystemView's.
func (v *CountingView) CachingDisabled() bool {
	v.called()
	return v.StaticSystemView.CachingDisabled()
}

// LocalMount is logical.SystemView's.
func (v *CountingView) LocalMount() bool {
	v.called()
	return v.StaticSystemView.LocalMount()
}

func (v *CountingView) called() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
}

// Reset returns how often Vault was asked, and starts to count anew.
func (v *CountingView) Reset() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.calls
	v.calls = 0
	return n
}

// Log is what the mount logged. Several goroutines may write it.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

var _ io.Writer = (*Log)(nil)

// Write is io.Writer's.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
