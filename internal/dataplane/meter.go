// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"sync"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// leaseDoublings is how often the lease of a meter doubles until it is a block. So a meter that is new, or was pushed out by
// those of many other keys again and again, does not lose a block each time: what it loses is no more than what it counted,
// or a 64th of a block.
const leaseDoublings = 6

// meter counts what one version protects against a lease that storage knows of already. A crash loses what is left of
// the lease, so that what storage says is never less than what was protected.
type meter struct {
	mu      sync.Mutex
	limits  policy.Limits // under which it was leased
	left    policy.Usage
	leases  int           // how many it had
	usage   usage         // as of the last lease
	leasing chan struct{} // closed when the lease that is being taken is there; nil: none is
}

// leaseFunc takes a lease of so much at least, and at best. A lease of nothing means that the limits leave no room.
type leaseFunc = func(need, want policy.Usage) (policy.Usage, error)

// take uses up part of the lease, taking another one where it does not suffice. One caller at a time takes a lease; whoever
// needs it waits, no longer than its request lasts, and whoever does not goes on. Of each, only what is short is leased, so
// that no more than a block is ever left. A lease under other limits is dropped: it may go beyond those in force.
func (m *meter) take(ctx context.Context, limits policy.Limits, use policy.Usage, lease leaseFunc) error {
	for {
		need, want, wait := m.begin(limits, use)
		switch {
		case need == policy.Usage{}:
			return nil
		case wait == nil:
			return m.lease(limits, use, need, want, lease)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin uses up part of the lease. Where it does not suffice the caller has to lease need, having used up what there was
// of the rest, or to wait for who does.
func (m *meter) begin(limits policy.Limits, use policy.Usage) (need, want policy.Usage, wait <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.under(limits)
	if need = use.Beyond(m.left); need != (policy.Usage{}) {
		if m.leasing != nil {
			return need, want, m.leasing
		}
		m.leasing = make(chan struct{})
		want = limits.Block(leaseDoublings - m.leases).Beyond(m.left)
	}
	m.left = m.left.Beyond(use)
	return need, want, nil
}

// lease takes the lease that begin asked for, and holds no lock meanwhile. What it may not use it gives back.
func (m *meter) lease(limits policy.Limits, use, need, want policy.Usage, lease leaseFunc) (err error) {
	var granted policy.Usage
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		close(m.leasing)
		m.leasing = nil
		if granted != (policy.Usage{}) {
			m.under(limits)
			m.left = m.left.Plus(granted.Beyond(need))
			m.leases = min(m.leases+1, leaseDoublings)
		} else if m.limits == limits {
			m.left = m.left.Plus(use.Beyond(need))
		}
	}()
	granted, err = lease(need, want)
	if err != nil {
		granted = policy.Usage{}
	}
	return err
}

// under drops a lease that was taken under other limits. The caller holds the lock.
func (m *meter) under(limits policy.Limits) {
	if m.limits != limits {
		m.limits, m.left = limits, policy.Usage{}
	}
}

// unused returns what is left of the lease under these limits; under others nothing is.
func (m *meter) unused(limits policy.Limits) policy.Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limits != limits {
		return policy.Usage{}
	}
	return m.left
}

func (p *Plane) meter(id versionID) *meter { return p.meters.GetOrAdd(id, newMeter) }

func newMeter() *meter { return new(meter) }
