// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// metersKept bounds the meters in memory. One that goes loses its lease: too many are counted then, never too few.
const metersKept = 65536

// leaseDoublings is how often the lease of a meter doubles until it is a block. So a meter that is new, or was pushed out by
// those of many other keys again and again, does not lose a block each time: what it loses is no more than what it counted,
// or a 64th of a block.
const leaseDoublings = 6

// meter counts what one version protects against a lease that storage knows of already. A crash loses what is left of
// the lease, so that what storage says is never less than what was protected.
type meter struct {
	mu     sync.Mutex
	limits lifecycle.Limits // under which it was leased
	left   lifecycle.Usage
	leases int // how many it had
}

// take uses up part of the lease, taking another one where it does not suffice; a lease of nothing means that the limits
// leave no room. Whoever else protects with the version waits meanwhile: they would need that lease too. Of each, only
// what is short is leased, so that no more than a block is ever left. A lease under other limits is dropped: it may go
// beyond those in force.
func (m *meter) take(
	limits lifecycle.Limits, use lifecycle.Usage, lease func(need, want lifecycle.Usage) (lifecycle.Usage, error),
) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limits != limits {
		m.limits, m.left = limits, lifecycle.Usage{}
	}
	if need := use.Beyond(m.left); need != (lifecycle.Usage{}) {
		granted, err := lease(need, limits.Block(leaseDoublings-m.leases).Beyond(m.left))
		if err != nil || granted == (lifecycle.Usage{}) {
			return err
		}
		m.left = m.left.Plus(granted)
		m.leases = min(m.leases+1, leaseDoublings)
	}
	m.left = m.left.Beyond(use)
	return nil
}

// unused returns what is left of the lease under these limits; under others nothing is.
func (m *meter) unused(limits lifecycle.Limits) lifecycle.Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limits != limits {
		return lifecycle.Usage{}
	}
	return m.left
}

func (e *Engine) meter(id versionID) *meter { return e.meters.getOrAdd(id, newMeter) }

func newMeter() *meter { return new(meter) }
