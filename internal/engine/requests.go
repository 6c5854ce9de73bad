// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Bounds on open requests.
const (
	mostOpenOfEntity = 16
	mostOpen         = 256
	closedKept       = 90 * 24 * time.Hour
)

// roomForRequest refuses a request where too many are open, and drops those that have ended long ago. Where few are kept, one List
// is all it costs. What cannot be read takes no room.
func (s gate) roomForRequest(ctx context.Context, r consent.Request, at situation) error {
	ids, err := s.store.Approvals.RequestIDs(ctx)
	if err != nil || len(ids) < mostOpenOfEntity {
		return err
	}
	open, own := 0, 0
	for _, id := range ids {
		other, err := s.other(ctx, id)
		switch {
		case err != nil:
			return err
		case other == nil || id == r.ID():
			continue
		}
		if s.isOpen(ctx, *other, at) {
			open++
			own += countIf(other.Content.Requester == r.Content.Requester)
		}
	}
	if own >= mostOpenOfEntity || open >= mostOpen {
		return refusal.Refusedf("%d requests for approval are open, %d of them yours: at most %d, and %d of one person; withdraw some", open, own, mostOpen, mostOpenOfEntity)
	}
	return nil
}

// other returns a request beside that which somebody makes; nil: it is gone, or cannot be read.
func (s gate) other(ctx context.Context, id string) (*consent.Request, error) {
	r, err := s.store.Approvals.Request(ctx, id)
	switch {
	case errors.Is(err, refusal.ErrNotFound): // dropped since it was listed
		return nil, nil //nolint:nilnil // none
	case errors.Is(err, refusal.ErrUnreadable):
		s.Log.Warn("a request for consent cannot be read", "request", id, "error", err)
		return nil, nil //nolint:nilnil // none
	case err != nil:
		return nil, err
	}
	return &r, nil
}

// isOpen reports whether something can become of a request, and drops one that has ended long ago. Where that cannot be told, as what
// it is about is damaged, it is open.
func (s gate) isOpen(ctx context.Context, r consent.Request, at situation) bool {
	moved, err := s.moved(ctx, r.Content)
	if err != nil {
		return true
	}
	state, _, err := s.stateOf(ctx, r, at, moved)
	open := err != nil || state == consent.Pending || state == consent.Approved
	if !open && at.now.After(r.Created.Add(closedKept)) {
		s.drop(ctx, r.ID())
	}
	return open
}

func countIf(counts bool) int {
	if counts {
		return 1
	}
	return 0
}

// drop removes a request that has ended. Where that fails a later one finds it again.
func (s gate) drop(ctx context.Context, id string) {
	if err := s.store.Approvals.DropRequest(ctx, id); err != nil {
		s.Log.Warn("a request for consent that has ended is left", "request", id, "error", err)
	}
}
