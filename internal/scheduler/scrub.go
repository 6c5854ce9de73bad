// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/census"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

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
		if err := t.alone(ctx, alert.Name, func(ctx context.Context) error { return t.store.Alerts.RepairAlert(ctx, alert.status, alert.Alerted) }); err != nil {
			t.Log.Error("alert of a key could not be checked", "key", alert.Name, "error", err)
		}
	}
	few := s.names[:min(tickScrub, len(s.names))]
	s.names = s.names[len(few):]
	for _, name := range few {
		if err := t.alone(ctx, name, func(ctx context.Context) error { return t.repair(ctx, name) }); err != nil {
			t.Log.Error("due index of a key could not be checked", "key", name, "error", err)
		}
		t.census.Pass(name) // where it was not looked at
	}
	return nil
}

// beginScrub begins a round over all keys, and over the alerts that are listed.
func (t *tick) beginScrub(ctx context.Context, s *scrub) error {
	names, err := t.store.Keys.KeyNames(ctx)
	if err != nil {
		return err
	}
	var alerts []listedAlert
	for _, status := range lifecycle.AlertStatuses() {
		list, err := t.store.Alerts.Alerts(ctx, status)
		if err != nil {
			return err
		}
		for _, alerted := range list {
			alerts = append(alerts, listedAlert{alerted, status})
		}
	}
	s.names, s.alerts, s.again = names, alerts, t.started.Add(scrubEvery)
	t.census.Begin()
	return t.nameUngoverned(ctx)
}

// nameUngoverned tells the operators which policies say nothing.
func (t *tick) nameUngoverned(ctx context.Context) error {
	list, err := t.ungoverned(ctx)
	for _, u := range list {
		t.Log.Error("policy says nothing; its keys have strict terms", "policy", u.Policy, "keys", len(u.Keys), "error", u.Why)
	}
	return err
}

func (t *tick) repair(ctx context.Context, name string) error {
	var k lifecycle.Key
	var policy *policy.Policy
	err := t.store.Keys.LookAt(ctx, name, func(found lifecycle.Key) (err error) {
		k = found
		if policy, err = t.data.PolicyOf(ctx, &k); err == nil {
			t.census.Look(name, census.Under(&k, policy, t.Now()))
		}
		return err
	})
	if errors.Is(err, refusal.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if now := t.Now(); t.misplaced(k, policy, now) || !k.Alerts.SameStatuses(lifecycle.Plan(k, policy, now).Alerts()) {
		t.Repaired++
		return t.reindexKey(ctx, name)
	}
	lost, err := t.store.Alerts.RestoreAlerts(ctx, k)
	if lost {
		t.Repaired++
	}
	if err != nil || k.Due.IsZero() {
		return err
	}
	listed, err := t.store.Due.IsListed(ctx, k.Due, name)
	if err != nil || listed {
		return err
	}
	t.Repaired++
	return t.store.Due.AddDue(ctx, k.Due, name)
}

// misplaced reports whether the record says something else than the plan about when the key is looked at. A key that was
// deferred waits where it is: the next tick reads the whole index, and finds it.
func (t *tick) misplaced(k lifecycle.Key, policy *policy.Policy, now time.Time) bool {
	due := engine.Due(k, policy, now)
	waits := t.waiting > 0 && !k.Due.IsZero() && !k.Due.After(now) && !due.After(now)
	return !waits && !sameMinute(due, k.Due)
}
