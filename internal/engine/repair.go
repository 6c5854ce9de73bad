// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// erase goes on with deletions that were cut short or were too large for one request.
func (t *tick) erase(ctx context.Context) error {
	names, err := t.r.Erasures(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if t.spent(ctx) {
			break
		}
		eraseErr := t.alone(ctx, name, func(ctx context.Context) error { return t.r.FinishErasure(ctx, name) })
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
	names, err := t.r.PendingRelocations(ctx)
	if err != nil {
		return err
	}
	next := namesAfter(names, t.clock.lastRelocated)
	names = append(slices.Clone(next), names[:len(names)-len(next)]...)
	for _, name := range names[:min(len(names), tickRelocations)] {
		if t.spent(ctx) {
			break
		}
		t.clock.lastRelocated = name
		settleErr := t.alone(ctx, name, func(ctx context.Context) error { return t.relocateMaterial(ctx, t.r, name) })
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
	for _, name := range t.denied.names() {
		if t.spent(ctx) {
			break
		}
		err = errors.Join(err, t.alone(ctx, name, func(ctx context.Context) error { return t.flushDenied(ctx, t.r, name) }))
	}
	return err
}

// clockEvery is how often the time is remembered in storage; the guard allows for more.
const clockEvery = 4 * time.Minute

// watchClock learns whether the clock can be believed.
func (t *tick) watchClock(ctx context.Context) error {
	was, err := t.r.Clock(ctx)
	if err != nil {
		t.Frozen = "the clock guard cannot be read"
		return err
	}
	next, frozen := was.Watch(t.started)
	t.r = repoWithClock{t.r, next}
	t.clock.guard.Store(&next)
	if t.Frozen = frozen; frozen != "" {
		t.log.Error("clock guard: nothing is archived, retired or destroyed; rotation goes on", "why", frozen, "acknowledge", "config/clock")
	}
	if next.High.Sub(was.High) < clockEvery && next.Jumped.Equal(was.Jumped) {
		return nil
	}
	return t.r.SetClock(ctx, next)
}

// repoWithClock is a repo that need not ask storage for what the clock guard remembers: a tick has just learned it.
type repoWithClock struct {
	Repo
	clock lifecycle.Clock
}

// Clock is Settings'.
func (r repoWithClock) Clock(context.Context) (lifecycle.Clock, error) { return r.clock, nil }

func sameMinute(a, b time.Time) bool {
	return a.IsZero() == b.IsZero() && a.Truncate(time.Minute).Equal(b.Truncate(time.Minute))
}

// scrub remembers how far the check of the due index has come.
type scrub struct {
	names  []string
	alerts []listedAlert
	again  time.Time // when the next round may begin
}

// listedAlert is an entry of the index of alerts.
type listedAlert struct {
	lifecycle.Alerted
	status lifecycle.Status
}

// scrubEvery is the least time between two rounds over all keys.
const scrubEvery = time.Hour

// scrubIndex checks for a few keys, another few each time, that the due index lists them where their records say and
// the plan wants. The index is written with the records, so there is nothing to find unless storage was tampered
// with or partly restored.
func (t *tick) scrubIndex(ctx context.Context) error {
	s := &t.scrub
	if len(s.names) == 0 && len(s.alerts) == 0 {
		if wait := s.again.Sub(t.started); wait > 0 && wait <= scrubEvery { // more was set by a clock that was ahead
			return nil
		}
		if err := t.beginScrub(ctx, s); err != nil {
			return err
		}
	}
	listed := s.alerts[:min(tickScrub, len(s.alerts))]
	s.alerts = s.alerts[len(listed):]
	for _, alert := range listed {
		if err := t.alone(ctx, alert.Name, func(ctx context.Context) error { return t.r.RepairAlert(ctx, alert.status, alert.Alerted) }); err != nil {
			t.log.Error("alert of a key could not be checked", "key", alert.Name, "error", err)
		}
	}
	few := s.names[:min(tickScrub, len(s.names))]
	s.names = s.names[len(few):]
	for _, name := range few {
		if err := t.alone(ctx, name, func(ctx context.Context) error { return t.repair(ctx, name) }); err != nil {
			t.log.Error("due index of a key could not be checked", "key", name, "error", err)
		}
	}
	return nil
}

// beginScrub begins a round over all keys, and over the alerts that are listed.
func (t *tick) beginScrub(ctx context.Context, s *scrub) error {
	names, err := t.r.KeyNames(ctx)
	if err != nil {
		return err
	}
	var alerts []listedAlert
	for _, status := range lifecycle.Alerts() {
		list, err := t.r.Alerts(ctx, status)
		if err != nil {
			return err
		}
		for _, alerted := range list {
			alerts = append(alerts, listedAlert{alerted, status})
		}
	}
	s.names, s.alerts, s.again = names, alerts, t.started.Add(scrubEvery)
	return t.nameUngoverned(ctx)
}

// nameUngoverned tells the operators which policies say nothing.
func (t *tick) nameUngoverned(ctx context.Context) error {
	list, err := t.ungoverned(ctx, t.r)
	for _, u := range list {
		t.log.Error("policy says nothing; its keys have strict terms", "policy", u.Policy, "keys", len(u.Keys), "error", u.Why)
	}
	return err
}

func (t *tick) repair(ctx context.Context, name string) error {
	k, err := t.r.Key(ctx, name)
	if errors.Is(err, lifecycle.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	policy, err := t.policyOf(ctx, t.r, k)
	if err != nil {
		return err
	}
	if !sameMinute(t.due(k, policy), k.Due) || k.Alert.Status != lifecycle.Plan(k, policy, t.now()).Alert().Status {
		t.Repaired++
		return t.reindexKey(ctx, name)
	}
	lost, err := t.r.RestoreAlert(ctx, k)
	if lost {
		t.Repaired++
	}
	if err != nil || k.Due.IsZero() {
		return err
	}
	listed, err := t.r.IsListed(ctx, k.Due, name)
	if err != nil || listed {
		return err
	}
	t.Repaired++
	return t.r.AddDue(ctx, k.Due, name)
}
