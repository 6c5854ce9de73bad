// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"slices"
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

// others returns the requests that are kept beside one. Those that cannot be read are left out.
func (s gate) others(ctx context.Context, r consent.Request) (all []consent.Request, err error) {
	ids, err := s.store.Approvals.RequestIDs(ctx)
	if err != nil {
		return nil, err
	}
	all, _, err = s.readable(ctx, slices.DeleteFunc(ids, func(id string) bool { return id == r.ID() }))
	return all, err
}

// readable returns the requests of these ids that are kept and can be read; unread: so many cannot.
func (s Approvals) readable(ctx context.Context, ids []string) (all []consent.Request, unread int, err error) {
	for _, id := range ids {
		r, err := s.store.Approvals.Request(ctx, id)
		switch {
		case errors.Is(err, refusal.ErrNotFound): // dropped since it was listed
		case errors.Is(err, refusal.ErrUnreadable):
			unread++
			s.Log.Warn("a request for consent cannot be read", "request", id, "error", err)
		case err != nil:
			return nil, unread, err
		default:
			all = append(all, r)
		}
	}
	return all, unread, nil
}

// closest returns the last request that was approved for the same act of the same person on the same thing, but has other content, and
// might be used but for that; nil: there is none. Where it cannot be told, there is none.
func (s gate) closest(ctx context.Context, r consent.Request, others []consent.Request, at situation) (last *consent.Request) {
	for _, other := range others {
		c := other.Content
		if other.Approved.IsZero() || c.Requester != r.Content.Requester || c.Operation != r.Content.Operation || c.Subject != r.Content.Subject {
			continue
		}
		if last != nil && other.Approved.Before(last.Approved) {
			continue
		}
		if state, _, err := s.stateOf(ctx, other, at, false); err == nil && state == consent.Approved {
			last = &other
		}
	}
	return last
}

// checkRoom refuses a request where too many are open, and drops those that have ended long ago. What cannot be read takes no room.
func (s gate) checkRoom(ctx context.Context, r consent.Request, others []consent.Request, at situation) error {
	if len(others) < mostOpenOfEntity {
		return nil
	}
	open, own := 0, 0
	for _, other := range others {
		if s.isOpen(ctx, other, at) {
			open++
			own += countIf(other.Content.Requester == r.Content.Requester)
		}
	}
	if own >= mostOpenOfEntity || open >= mostOpen {
		return refusal.Refusedf("%d requests for approval are open, %d of them yours: at most %d, and %d of one person; withdraw some", open, own, mostOpen, mostOpenOfEntity)
	}
	return nil
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
