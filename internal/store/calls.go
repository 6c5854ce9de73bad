// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// Who asked for a transition.
const (
	byOperator = "operator"
	byClock    = "clock"
)

// ObservedBy has the store count with the observer. It is called before the store is used.
func (s *Store) ObservedBy(o *observe.Observer) *Store {
	s.observe = o
	for _, op := range lifecycle.TransitionNames() {
		if op.ByClock() || op == lifecycle.Rollback { // of a promotion that fails a check
			o.Transitions.Declare(observe.Labels{string(op), byClock})
		}
		if !op.OnlyByClock() {
			o.Transitions.Declare(observe.Labels{string(op), byOperator})
		}
	}
	return s
}

// KnownInstance returns the identity of the mount's data; empty: it was not needed yet.
func (s *Store) KnownInstance() string {
	if known := s.identity.Load(); known != nil {
		return *known
	}
	return ""
}

// get reads an entry; nil: there is none. The error is the storage's own.
func (r *conn) get(ctx context.Context, path string) (entry *logical.StorageEntry, err error) {
	err = r.timed(ctx, &r.s.observe.Storage.Get, func() (err error) {
		entry, err = r.storage.Get(ctx, path)
		return err
	})
	return entry, err
}

// timed measures a call of the storage. A write that this node must not make counts on the node that makes it.
func (r *conn) timed(ctx context.Context, of *observe.Call, do func() error) error {
	began := r.s.now()
	err := do()
	if !errors.Is(storageError("", "", err), logical.ErrReadOnly) {
		of.Ended(ctx, r.s.now().Sub(began), err)
	}
	return err
}

// counted counts an act that took effect.
func counted(r *conn, e lifecycle.Event) {
	by := byOperator
	if r.caller.Actor.System {
		by = byClock
	}
	r.s.observe.Transitions.Add(observe.Labels{e.Act, by}, 1)
	if e.Review != nil {
		r.s.observe.BreakGlass.Add(1)
	}
}
