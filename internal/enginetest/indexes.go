// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// dueIndex is scheduler.DueIndex.
type dueIndex struct{ *Mount }

func (s dueIndex) DueMinutes(ctx context.Context) ([]time.Time, error) {
	err := s.called(ctx, "DueMinutes", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	var minutes []time.Time
	for at, names := range s.due {
		if len(names) > 0 {
			minutes = append(minutes, at)
		}
	}
	slices.SortFunc(minutes, time.Time.Compare)
	return minutes, err
}

func (s dueIndex) KeysDue(ctx context.Context, at time.Time) ([]string, error) {
	err := s.called(ctx, "KeysDue", at.Format(time.RFC3339))
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.due[minute(at)]), err
}

func (s dueIndex) IsListed(ctx context.Context, at time.Time, name string) (bool, error) {
	err := s.called(ctx, "IsListed", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.due[minute(at)][name], err
}

func (s dueIndex) AddDue(ctx context.Context, at time.Time, name string) error {
	err := s.called(ctx, "AddDue", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.list(at, name)
	}
	return err
}

func (s dueIndex) RemoveDue(ctx context.Context, at time.Time, name string) error {
	defer s.lock(name)()
	err := s.called(ctx, "RemoveDue", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[name]; err == nil && (!ok || !minute(k.Due).Equal(minute(at))) {
		delete(s.due[minute(at)], name)
	}
	return err
}

func (s dueIndex) PostponeDue(ctx context.Context, at, later time.Time, name string) error {
	err := s.called(ctx, "PostponeDue", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.list(later, name)
		delete(s.due[minute(at)], name)
	}
	return err
}

// alertIndex is scheduler.AlertIndex.
type alertIndex struct{ *Mount }

func (s alertIndex) Alerts(ctx context.Context, status lifecycle.Status) ([]lifecycle.Alerted, error) {
	err := s.called(ctx, "Alerts", string(status))
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []lifecycle.Alerted
	for name, since := range s.alerts[status] {
		list = append(list, lifecycle.Alerted{Name: name, Since: since})
	}
	slices.SortFunc(list, func(a, b lifecycle.Alerted) int { return a.Since.Compare(b.Since) })
	return list, err
}

func (s alertIndex) RepairAlert(ctx context.Context, status lifecycle.Status, listed lifecycle.Alerted) error {
	err := s.called(ctx, "RepairAlert", listed.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && !s.keys[listed.Name].Alerts.Has(status) {
		delete(s.alerts[status], listed.Name)
	}
	return err
}

func (s alertIndex) RestoreAlerts(ctx context.Context, k lifecycle.Key) (lost bool, err error) {
	if len(k.Alerts) == 0 {
		return false, nil
	}
	err = s.called(ctx, "RestoreAlerts", k.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		return false, err
	}
	for _, alert := range k.Alerts {
		if _, ok := s.alerts[alert.Status][k.Name]; !ok {
			s.alert(k.Name, alert)
			lost = true
		}
	}
	return lost, nil
}

// usageStore is dataplane.UsageStore and dataplane.DenialStore.
type usageStore struct{ *Mount }

func (s usageStore) Lease(ctx context.Context, name string, ask lifecycle.LeaseRequest) (granted, before policy.Usage, err error) {
	defer s.lock(name)()
	if err := s.called(ctx, "Lease", name); err != nil {
		return granted, before, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[name].ID != ask.KeyID {
		return granted, before, refusal.NoKey(name)
	}
	before = s.leases[lease{ask.KeyID, ask.Version}]
	granted, ok := ask.Most.Grant(before, ask.Need, ask.Want)
	if !ok {
		return policy.Usage{}, before, nil
	}
	s.leases[lease{ask.KeyID, ask.Version}] = before.Plus(granted)
	return granted, before, nil
}

func (s usageStore) Leased(ctx context.Context, name, keyID string, version int) (policy.Usage, error) {
	err := s.called(ctx, "Leased", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leases[lease{keyID, version}], err
}

func (s usageStore) Denied(ctx context.Context, k lifecycle.Key, of lifecycle.Range) (map[int]lifecycle.Denials, error) {
	err := s.called(ctx, "Denied", k.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	denied := map[int]lifecycle.Denials{}
	for n, d := range s.denied[k.Name] {
		if of.From <= n && n <= of.To {
			denied[n] = d
		}
	}
	return denied, err
}

func (s usageStore) AddDenied(ctx context.Context, name string, more map[int]lifecycle.Denials) (left map[int]lifecycle.Denials, err error) {
	defer s.lock(name)()
	if err := s.called(ctx, "AddDenied", name); err != nil {
		return more, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.denied[name] == nil {
		s.denied[name] = map[int]lifecycle.Denials{}
	}
	for n, d := range more {
		s.denied[name][n] = s.denied[name][n].Plus(d)
	}
	return map[int]lifecycle.Denials{}, nil
}
