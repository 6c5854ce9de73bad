// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Acts is what all acts on keys have in common, whoever acts: an operator, or the clock.
type Acts struct {
	*Session
	keys KeyStore
}

// Act decides what becomes of a key. All that it decides has the one date at.
type Act = func(k lifecycle.Key, at time.Time) (lifecycle.Commit, error)

// Update commits an act on a key, with the intent to move what material it displaces, and forgets the snapshot it replaces,
// also when the outcome is unknown. The clock is read once, while no other act on the key runs: the dates of acts are in
// the order of the acts.
func (a Acts) Update(ctx context.Context, name string, act Act) (lifecycle.Key, error) {
	defer a.Plane.KeyChanged(name)
	var made *lifecycle.Version
	k, err := a.keys.UpdateKey(ctx, name, func(k lifecycle.Key) (lifecycle.Commit, error) {
		c, err := act(k, a.Now())
		made = c.Version
		c.Relocate = lifecycle.Displaced(k, c.Key)
		return c.WithSuccessorDetails(k), err
	})
	if err == nil {
		a.claimed(ctx, made)
	}
	if errors.Is(err, refusal.ErrReadBack) {
		err = fmt.Errorf("pre-check %s failed: %w", checkStorage, err)
	}
	return k, a.gate().filed(ctx, err)
}

// WithClock returns the same acts of somebody who knows what the clock guard remembers: they need not ask storage for it.
func (a Acts) WithClock(c lifecycle.Clock) Acts {
	s := *a.Session
	s.store.Settings = settingsWithClock{s.store.Settings, c}
	a.Session = &s
	return a
}

type settingsWithClock struct {
	SettingsStore
	clock lifecycle.Clock
}

// Clock is SettingsStore's.
func (s settingsWithClock) Clock(context.Context) (lifecycle.Clock, error) { return s.clock, nil }

// Complete completes a commit whose key and event are decided: when the key is looked at next, which version the clock
// archives next, and under which policy it happened.
func (a Acts) Complete(ctx context.Context, c lifecycle.Commit, p *policy.Policy, at time.Time) (lifecycle.Commit, error) {
	c.Key = c.Key.PostChecks(p).DroppedIfNone()
	key, err := a.withOldest(ctx, c.Key, p)
	switch {
	case err == nil:
		c.Key = key
	case !acts.Name(c.Event.Act).Urgent(): // which leaves to a later act what the clock archives next
		return c, err
	}
	c.Key.Alerts = lifecycle.Plan(c.Key, p, at).Alerts()
	c.Key.Due = Due(c.Key, p, at)
	c.Event = c.Event.Under(p)
	return c, nil
}

// withOldest names the version that the clock archives next. Its date is looked for only when the one that was has gone.
func (s *Session) withOldest(ctx context.Context, k lifecycle.Key, p *policy.Policy) (lifecycle.Key, error) {
	v := k.OldestToDate(p)
	if v == 0 {
		return k.WithOldest(p, nil), nil
	}
	if v == k.Oldest.Version {
		return k, nil
	}
	dates, err := s.store.Versions.Dates(ctx, k, v+1)
	return k.WithOldest(p, dates), err
}

// Due returns the time to list the key under: when the plan wants it looked at, though not in the past, which the tick has
// left behind.
func Due(k lifecycle.Key, p *policy.Policy, now time.Time) time.Time {
	plan := lifecycle.Plan(k, p, now)
	wake := plan.Wake
	if plan.Notice.After(now) {
		wake = earlierOf(wake, plan.Notice)
	}
	if pending := lifecycle.PendingTransitions(k, p, now); len(pending) > 0 {
		wake = earlierOf(wake, pending[0].At)
	}
	switch {
	case k.PostChecks(p).Pending() && !k.Due.IsZero() && k.Due.Before(now):
		return k.Due // where a tick that rotates late is at work: the checks move it in a moment
	case k.NeedsSuccessor(), k.PostChecks(p).Pending(), !wake.IsZero() && wake.Before(now):
		return now
	default:
		return wake
	}
}

// EventOf is what custody keeps of a step.
func EventOf(did lifecycle.Step, reason string) lifecycle.Event {
	event := lifecycle.Event{Act: string(did.Op), From: did.From, To: did.To, Reason: reason}
	if did.Version > 0 {
		event.Versions = []int{did.Version}
	}
	if did.ID != "" {
		event.Details = map[string]string{"transition": did.ID}
	}
	return event
}
