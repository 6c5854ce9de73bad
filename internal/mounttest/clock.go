// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// Start is when every mount begins.
var Start = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

// Clock is a clock that tests move.
type Clock struct {
	Step time.Duration // goes by whenever somebody looks

	mu  sync.Mutex
	now time.Time
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.Step)
	return c.now
}

// Add moves the clock, also back.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Tick runs Vault's periodic function as Vault does.
func (m *Mount) Tick() error { return m.TickOn(m.Storage) }

// TickOn is Tick with another storage than the requests have.
func (m *Mount) TickOn(storage logical.Storage) error {
	_, err := m.HandleRequest(context.Background(), &logical.Request{Operation: logical.RollbackOperation, Storage: storage})
	return err
}

// Advance moves the clock minute by minute, ticking.
func (m *Mount) Advance(d time.Duration) {
	m.T.Helper()
	for end := m.Clock.Now().Add(d); m.Clock.Now().Before(end); {
		m.Clock.Add(time.Minute)
		require.NoError(m.T, m.Tick())
	}
}

// AdvanceTo is Advance until so long after [Start].
func (m *Mount) AdvanceTo(sinceStart time.Duration) {
	m.T.Helper()
	m.Advance(Start.Add(sinceStart).Sub(m.Clock.Now()))
}

// Leap lets time go by, with a tick now and then that believes the clock.
func (m *Mount) Leap(d time.Duration) {
	m.T.Helper()
	for end := m.Clock.Now().Add(d); m.Clock.Now().Before(end); {
		m.Pass(min(12*time.Hour, end.Sub(m.Clock.Now())))
		require.NoError(m.T, m.Tick())
	}
}

// Pass lets time go by without a tick, and tells the clock guard that it is right.
func (m *Mount) Pass(d time.Duration) {
	m.T.Helper()
	m.Clock.Add(d)
	m.Must(m.Write("config/clock", "acknowledge", true))
}

// Frozen reports whether the clock guard holds back what cannot be undone.
func (m *Mount) Frozen() bool {
	m.T.Helper()
	guard := m.Must(m.Read("config/clock")).Data
	require.Equal(m.T, guard["frozen"], guard["why"] != "")
	return guard["frozen"].(bool)
}
