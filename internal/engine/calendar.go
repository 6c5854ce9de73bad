// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file tells what will happen in a span of time: to keys by the clock, and what people have to do until then. It writes
// nothing, and drives no key out of memory.

// Span is the time from From on and before To.
type Span struct{ From, To time.Time }

func (s Span) has(at time.Time) bool { return !at.Before(s.From) && at.Before(s.To) }

// Event is something that will happen, or that somebody has to do.
type Event struct {
	lifecycle.Forecasted        // of what is overdue, At is now
	Key                  string // empty: it is about no key
	Policy               string // that governs the key, or that it is about
	ID                   string // of a request for consent, or a review
}

// What people have to do until then, beside the acts of the clock.
const (
	EventDrill        = "drill"
	EventReview       = "review"
	EventAccessReview = "access-review"
	EventApprove      = "approve" // votes count until then
	EventExecute      = "execute" // an approved request can be executed until then
)

// What is told of one key at most.
const (
	mostEvents    = 64  // in the span
	mostForecasts = 512 // before its end
)

// KeyEvents is what will happen to one key.
type KeyEvents struct {
	Due    time.Time // under which the due index lists it; zero: nothing is scheduled
	Events []Event
	Cut    bool // more happens
}

// Events returns what the clock will do to a key in a span, or refusal.ErrNotFound.
func (s Keys) Events(ctx context.Context, name string, in Span) (KeyEvents, error) {
	k, err := s.data.KeyOfMany(ctx, name)
	if err != nil {
		return KeyEvents{}, err
	}
	p, err := s.data.PolicyOf(ctx, k)
	if err != nil {
		return KeyEvents{}, err
	}
	dates, err := s.store.Versions.Dates(ctx, *k, k.MinDecryption)
	if err != nil {
		return KeyEvents{}, err
	}
	of, steps := KeyEvents{Due: k.Due}, 0
	for next := range lifecycle.Coming(*k, p, dates, s.Now()) {
		if steps++; !next.At.Before(in.To) {
			break
		}
		if of.Cut = len(of.Events) == mostEvents || steps > mostForecasts; of.Cut {
			break
		}
		if in.has(next.At) {
			of.Events = append(of.Events, Event{Forecasted: next, Key: name, Policy: k.Policy})
		}
	}
	return of, nil
}

// drillDue returns when the next drill of a key is due; zero: none is. A key that is stopped as a whole needs none.
func drillDue(k *lifecycle.Key, p *policy.Policy) time.Time {
	if p == nil || k.Status.State != lifecycle.Enabled {
		return time.Time{}
	}
	return lifecycle.NextDrill(*k, p.DrillEvery.Duration)
}

// Drill returns that the next drill of a key is due, or refusal.ErrNotFound where no such key is under the policy; nil: none is
// due in the span.
func (s Keys) Drill(ctx context.Context, name string, p *policy.Policy, in Span) (*Event, error) {
	k, err := s.data.KeyOfMany(ctx, name)
	if err == nil && k.Policy != p.Name {
		err = refusal.NoKey(name)
	}
	if err != nil {
		return nil, err
	}
	due := drillDue(k, p)
	at := laterOf(due, s.Now())
	if due.IsZero() || !in.has(at) {
		return nil, nil //nolint:nilnil // none is an answer
	}
	last := "the last drill that custody keeps was at " + utc(k.LastDrill)
	if k.LastDrill.IsZero() {
		last = "custody keeps no drill since the key was made at " + utc(k.Created)
	}
	why := fmt.Sprintf("policy %q has drill_every %s, and %s", p.Name, p.DrillEvery.Text, last)
	return &Event{Forecasted: lifecycle.Forecasted{At: at, Act: EventDrill, Version: k.Primary, Why: why}, Key: name, Policy: k.Policy}, nil
}

// WithDrills returns the policies with drill_every, in alphabetical order. One that cannot be read has none.
func (s Policies) WithDrills(ctx context.Context) (list []*policy.Policy, err error) {
	names, err := s.store.Policies.PolicyNames(ctx)
	for _, name := range names {
		p, readErr := s.data.Policy(ctx, name)
		switch {
		case dataplane.SaysNothing(readErr):
		case readErr != nil:
			err = readErr
		case p.DrillEvery.Duration > 0:
			list = append(list, p)
		}
	}
	return list, err
}

// Events returns what people have to do on this mount in a span: votes, executions, reviews.
func (s Approvals) Events(ctx context.Context, in Span) (all []Event, err error) {
	at, err := s.situation(ctx)
	if err != nil {
		return nil, err
	}
	for _, gather := range []func(context.Context, situation) ([]Event, error){s.requestEvents, s.reviewEvents, s.accessReviewEvents} {
		some, err := gather(ctx, at)
		if err != nil {
			return nil, err
		}
		for _, e := range some {
			if e.At = laterOf(e.At, at.now); in.has(e.At) {
				all = append(all, e)
			}
		}
	}
	return all, nil
}

func (s Approvals) requestEvents(ctx context.Context, at situation) (all []Event, err error) {
	ids, err := s.IDs(ctx)
	for _, id := range ids {
		if err != nil {
			return nil, err
		}
		r, state, readErr := s.requestAt(ctx, id, at)
		switch {
		case errors.Is(readErr, refusal.ErrNotFound): // it was dropped
		case readErr != nil:
			err = readErr
		case state == consent.Pending:
			all = append(all, eventOf(r.Content, id, EventApprove, r.ApproveBy(), fmt.Sprintf("until then votes count on %s of %s, for which %s asks: %s", r.Content.Operation, r.Content.Subject.Name, r.Requester, r.Rule)))
		case state == consent.Approved:
			all = append(all, eventOf(r.Content, id, EventExecute, r.ExecuteBy(), fmt.Sprintf("until then %s may execute %s of %s, which is approved", r.Requester, r.Content.Operation, r.Content.Subject.Name)))
		}
	}
	return all, err
}

func (s Approvals) reviewEvents(ctx context.Context, at situation) (all []Event, err error) {
	reviews := s.Reviews()
	ids, err := reviews.IDs(ctx)
	for _, id := range ids {
		if err != nil {
			return nil, err
		}
		r, readErr := s.store.Reviews.Review(ctx, id)
		if readErr == nil && r.Verdict == "" {
			var state consent.State
			if state, readErr = reviews.stateAt(ctx, r, at); state == consent.Open || state == consent.Overdue {
				all = append(all, eventOf(r.Content, id, EventReview, r.Due, fmt.Sprintf("the review of %s of %s by break-glass is due at %s", r.Content.Operation, r.Content.Subject.Name, utc(r.Due))))
			}
		}
		if !errors.Is(readErr, refusal.ErrNotFound) {
			err = readErr
		}
	}
	return all, err
}

func (s Approvals) accessReviewEvents(ctx context.Context, _ situation) ([]Event, error) {
	g, err := s.store.Settings.Governance(ctx)
	if err != nil || g.LedgerOff {
		return nil, err
	}
	why := "access_review_every: no access review was attested yet"
	if !g.Reviewed.IsZero() {
		why = "access_review_every: the last access review was attested at " + utc(g.Reviewed)
	}
	return []Event{{Forecasted: lifecycle.Forecasted{At: g.ReviewDue(), Act: EventAccessReview, Why: why}}}, nil
}

// eventOf is what somebody has to do about what was asked for, or was done.
func eventOf(c consent.Content, id, what string, at time.Time, why string) Event {
	e := Event{Forecasted: lifecycle.Forecasted{At: at, Act: what, Version: c.Version, Why: why}, Policy: c.Policy.Name, ID: id}
	switch c.Subject.Scope {
	case acts.Key:
		e.Key = c.Subject.Name
	case acts.Policy:
		e.Policy = c.Subject.Name
	}
	return e
}
