// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// reviewStore is the reviews of acts by break-glass.
type reviewStore struct{ *Mount }

func (s reviewStore) Review(ctx context.Context, id string) (consent.Review, error) {
	if err := s.called(ctx, "Review", id); err != nil {
		return consent.Review{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, found := s.reviews[id]
	if !found {
		return r, refusal.NotFoundf("no review %q", id)
	}
	return r, nil
}

func (s reviewStore) ReviewIDs(ctx context.Context) ([]string, error) {
	err := s.called(ctx, "ReviewIDs", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.reviews), err
}

func (s reviewStore) ChangeReview(
	ctx context.Context, id string, about consent.Subject, change func(now consent.Review) (consent.Review, lifecycle.Event, error),
) (consent.Review, error) {
	defer s.lock(about.Name)()
	now, err := s.Review(ctx, id)
	if err != nil {
		return now, err
	}
	if err := s.called(ctx, "ChangeReview", id); err != nil {
		return consent.Review{}, err
	}
	next, event, err := change(now)
	if err != nil || next.Verdict == now.Verdict {
		return next, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustBeAct(acts.Review, event)
	s.acts = append(s.acts, Done{Key: about.Name, Event: event})
	s.reviews[id] = next
	return next, nil
}

func (s reviewStore) TookEffect(ctx context.Context, r consent.Review) (bool, error) {
	return r.Began > 0, s.called(ctx, "TookEffect", r.ID())
}

func (s reviewStore) DropReview(ctx context.Context, id string) error {
	err := s.called(ctx, "DropReview", id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.reviews[id]; r.Verdict == "" && r.Began > 0 {
		s.t.Errorf("review %s is dropped, and nobody has closed it", id)
	}
	delete(s.reviews, id)
	return err
}

// reviewed keeps the review of an act by break-glass. The caller holds the lock.
func (m *Mount) reviewed(e lifecycle.Event) {
	if (e.Review != nil) != (e.Details["break_glass"] == "true") {
		m.t.Errorf("%s: the event has a review exactly where custody says break_glass", e.Act)
	}
	if e.Review == nil {
		return
	}
	if e.Consent != "" {
		m.t.Errorf("%s: break-glass beside consent %s", e.Act, e.Consent)
	}
	r := *e.Review
	r.Began = len(m.acts) + 1
	m.reviews[r.ID()] = r
}
