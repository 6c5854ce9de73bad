// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/census"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// CensusStore keeps the census for the next process.
type CensusStore interface {
	Census(ctx context.Context) (census.Snapshot, error)
	SaveCensus(ctx context.Context, s census.Snapshot) error
}

// Committed counts a commit on a key, of which it tells the data plane, too: what the key was and is; nil: there was, or is, none. The key's lock is held.
func (s *Scheduler) Committed(name string, was, is *lifecycle.Key) {
	s.Plane.ActiveChanged(was, is)
	s.census.Committed(name, s.facts(was), s.facts(is))
}

// Doubted notes that the outcome of a commit is unknown, and what the key was before it; nil: there was none.
func (s *Scheduler) Doubted(name string, was *lifecycle.Key) { s.census.Doubt(name, s.facts(was)) }

// facts returns what is counted of a key, with whether it drifts where its policy is in memory, as after an act under it.
func (s *Scheduler) facts(k *lifecycle.Key) *census.Facts {
	if k == nil {
		return nil
	}
	p := (*policy.Policy)(nil)
	if k.Policy != "" {
		cached, ok := s.Plane.CachedPolicy(k.Policy)
		if !ok {
			return census.Of(k)
		}
		p = cached
	}
	return census.Under(k, p, s.Now())
}

// ForgetCensus forgets what was counted: another node has written keys. The next tick begins with what is stored.
func (s *Scheduler) ForgetCensus() { s.census.Forget() }

// takeCensus ends a round of the sweep that has passed all keys, stores the census once an hour, and puts it on the board.
func (t *tick) takeCensus(ctx context.Context) error {
	if len(t.scrub.names) == 0 {
		t.census.Finish(t.Now())
	}
	err := t.loadCensus(ctx)
	if s, due := t.census.ToSave(t.Now()); due && err == nil {
		if err = t.store.Census.SaveCensus(ctx, s); err == nil {
			t.census.Saved(s)
		}
	}
	t.Observe.Board.Census.Set(t.census.Shown())
	return err
}

// loadCensus reads what an earlier process has counted, once.
func (t *tick) loadCensus(ctx context.Context) error {
	if t.census.Loaded() {
		return nil
	}
	s, err := t.store.Census.Census(ctx)
	if err == nil {
		t.census.Load(s)
	}
	return err
}
