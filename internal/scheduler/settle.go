// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"errors"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// erase goes on with deletions that were cut short or were too large for one request.
func (t *tick) erase(ctx context.Context) error {
	names, err := t.store.Unfinished.Erasures(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if t.spent(ctx) {
			break
		}
		eraseErr := t.alone(ctx, name, func(ctx context.Context) error { return t.store.Unfinished.FinishErasure(ctx, name) })
		if eraseErr != nil {
			err = errors.Join(err, eraseErr)
			continue
		}
		t.Erased++
	}
	return err
}

// relocatePending goes on with moving and erasing material, behind the key where the last tick stopped: some that cannot be
// settled must not hold up the others.
func (t *tick) relocatePending(ctx context.Context) error {
	names, err := t.store.Unfinished.PendingRelocations(ctx)
	if err != nil {
		return err
	}
	next := namesAfter(names, t.lastRelocated)
	names = append(slices.Clone(next), names[:len(names)-len(next)]...)
	for _, name := range names[:min(len(names), tickRelocations)] {
		if t.spent(ctx) {
			break
		}
		t.lastRelocated = name
		settleErr := t.alone(ctx, name, func(ctx context.Context) error {
			_, err := t.acts.Relocate(ctx, name)
			return err
		})
		if errors.Is(settleErr, envelope.ErrUnavailable) {
			t.deferKey(name, settleErr)
			continue
		}
		if settleErr != nil {
			err = errors.Join(err, settleErr)
			continue
		}
		t.Relocated++
	}
	return err
}

// storeDenied stores the denied uses counted since the last tick.
func (t *tick) storeDenied(ctx context.Context) error {
	var err error
	for _, name := range t.Plane.DeniedKeys() {
		if t.spent(ctx) {
			break
		}
		err = errors.Join(err, t.alone(ctx, name, func(ctx context.Context) error { return t.data.StoreDenied(ctx, name) }))
	}
	return err
}

// settleObjects destroys keys on the token that no version has.
func (t *tick) settleObjects(ctx context.Context) error {
	return t.alone(ctx, "keys on the token", func(ctx context.Context) error {
		n, err := t.acts.SettleObjects(ctx)
		t.Erased += n
		if errors.Is(err, envelope.ErrUnavailable) {
			t.Log.Warn("keys on the token are to be destroyed; the next tick tries again", "error", err)
			err = nil
		}
		return err
	})
}
