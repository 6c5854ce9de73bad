// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/census"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// policyStore is the policies, and which keys are bound to them.
type policyStore struct{ *Mount }

func (s policyStore) Policy(ctx context.Context, name string) (policy.Policy, error) {
	if err := s.called(ctx, "Policy", name); err != nil {
		return policy.Policy{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last(name)
}

// last returns the revision in force. The caller holds the lock.
func (s policyStore) last(name string) (policy.Policy, error) {
	all := s.policies[name]
	if len(all) == 0 {
		return policy.Policy{}, refusal.NoPolicy(name)
	}
	return all[len(all)-1], nil
}

func (s policyStore) Revisions(ctx context.Context, name string) (int, error) {
	p, err := s.Policy(ctx, name)
	return p.Revision, err
}

func (s policyStore) PolicyRevision(ctx context.Context, name string, n int) (policy.Policy, error) {
	err := s.called(ctx, "PolicyRevision", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := s.policies[name]; err == nil && n >= 1 && n <= len(all) {
		return all[n-1], nil
	}
	return policy.Policy{}, refusal.NoPolicy(name)
}

func (s policyStore) PolicyNames(ctx context.Context) ([]string, error) {
	err := s.called(ctx, "PolicyNames", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.policies), err
}

func (s policyStore) PutPolicy(
	ctx context.Context, name string, revise func(current *policy.Policy) (policy.Policy, lifecycle.Event, error),
) (policy.Policy, error) {
	if err := s.called(ctx, "PutPolicy", name); err != nil {
		return policy.Policy{}, err
	}
	defer s.inAct()()
	var current *policy.Policy
	if p, err := s.last(name); err == nil {
		current = &p
	}
	var next policy.Policy
	var event lifecycle.Event
	var err error
	s.within(func() { next, event, err = revise(current) })
	if err != nil || (current != nil && next.Same(*current)) {
		return next, err
	}
	if next.Revision != len(s.policies[name])+1 {
		s.t.Errorf("policy %s: revision %d after %d", name, next.Revision, len(s.policies[name]))
	}
	s.mustBeAct(acts.Policy, event)
	s.policies[name] = append(s.policies[name], next)
	s.cursors[name] = ""
	return next, nil
}

func (s policyStore) DeletePolicy(
	ctx context.Context, name string, event lifecycle.Event,
	allow func(policy.Policy, lifecycle.Event) (lifecycle.Event, error), used func(policy.Use) error,
) error {
	if err := s.called(ctx, "DeletePolicy", name); err != nil {
		return err
	}
	defer s.inAct()()
	p, err := s.last(name)
	if err != nil {
		return err
	}
	s.within(func() { event, err = allow(p, event) })
	if err != nil {
		return err
	}
	s.mustBeAct(acts.Policy, event)
	if s.governed.DefaultPolicy == name {
		if err := used(policy.Use{Default: true}); err != nil {
			return err
		}
	}
	for key, k := range s.keys {
		if k.Policy != name {
			continue
		}
		if err := used(policy.Use{Key: key, Bound: 1}); err != nil {
			return err
		}
	}
	delete(s.policies, name)
	delete(s.cursors, name)
	return nil
}

func (s policyStore) BoundKeys(ctx context.Context, policy string) ([]string, error) {
	err := s.called(ctx, "BoundKeys", policy)
	s.mu.Lock()
	defer s.mu.Unlock()
	bound := map[string]bool{}
	for name, k := range s.keys {
		if k.Policy == policy {
			bound[name] = true
		}
	}
	return sorted(bound), err
}

func (s policyStore) BoundPolicies(ctx context.Context) ([]string, error) {
	err := s.called(ctx, "BoundPolicies", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	bound := map[string]bool{}
	for _, k := range s.keys {
		if k.Policy != "" {
			bound[k.Policy] = true
		}
	}
	return sorted(bound), err
}

func (s policyStore) PendingReindexes(ctx context.Context) ([]string, error) {
	err := s.called(ctx, "PendingReindexes", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.cursors), err
}

func (s policyStore) ReindexCursor(ctx context.Context, policy string) (after string, revision int, err error) {
	err = s.called(ctx, "ReindexCursor", policy)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[policy], len(s.policies[policy]), err
}

func (s policyStore) SaveReindexCursor(ctx context.Context, policy string, revision int, after string, done bool) error {
	if err := s.called(ctx, "SaveReindexCursor", policy); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case revision != len(s.policies[policy]): // it begins anew
	case done:
		delete(s.cursors, policy)
	default:
		s.cursors[policy] = after
	}
	return nil
}

// settings are those of the mount, and what the clock guard remembers.
type settings struct{ *Mount }

func (s settings) Census(ctx context.Context) (census.Snapshot, error) {
	err := s.called(ctx, "Census", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.census, err
}

func (s settings) SaveCensus(ctx context.Context, c census.Snapshot) error {
	err := s.called(ctx, "SaveCensus", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.census = c
	}
	return err
}

func (s settings) Clock(ctx context.Context) (lifecycle.Clock, error) {
	err := s.called(ctx, "Clock", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock, err
}

func (s settings) SetClock(ctx context.Context, c lifecycle.Clock) error {
	if err := s.called(ctx, "SetClock", ""); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = c
	return nil
}

func (s settings) AcknowledgeClock(ctx context.Context, c lifecycle.Clock, decide func() (lifecycle.Event, error)) error {
	if err := s.called(ctx, "AcknowledgeClock", ""); err != nil {
		return err
	}
	defer s.inAct()()
	var event lifecycle.Event
	var err error
	if s.within(func() { event, err = decide() }); err != nil {
		return err
	}
	s.mustBeAct(acts.Mount, event)
	s.clock = c
	return nil
}

func (s settings) KeysSettings(ctx context.Context) (lifecycle.KeysSettings, error) {
	err := s.called(ctx, "KeysSettings", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keysSettings, err
}

func (s settings) SetKeysSettings(
	ctx context.Context, change func(lifecycle.KeysSettings) (lifecycle.KeysSettings, lifecycle.Event, error),
) (lifecycle.KeysSettings, error) {
	if err := s.called(ctx, "SetKeysSettings", ""); err != nil {
		return lifecycle.KeysSettings{}, err
	}
	defer s.inAct()()
	var next lifecycle.KeysSettings
	var event lifecycle.Event
	var err error
	was := s.keysSettings
	s.within(func() { next, event, err = change(was) })
	if err != nil {
		return next, err
	}
	s.mustBeAct(acts.Mount, event)
	s.keysSettings = next
	return next, nil
}

func (s settings) SetCacheSize(ctx context.Context, size int, event func(was int) lifecycle.Event) error {
	if err := s.called(ctx, "SetCacheSize", ""); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustBeAct(acts.Mount, event(s.cacheSize))
	s.cacheSize = size
	return nil
}

// mustBeAct complains of an event that is no act of the scope.
func (m *Mount) mustBeAct(scope acts.Scope, e lifecycle.Event) {
	if _, known := acts.Of(scope, acts.Name(e.Act)); !known {
		m.t.Errorf("%q is no act on a %s", e.Act, scope)
	}
	m.consented(e)
}

func (s settings) DisableUpsert(ctx context.Context) (bool, error) {
	err := s.called(ctx, "DisableUpsert", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keysSettings.DisableUpsert, err
}

func (s settings) Governance(ctx context.Context) (policy.Governance, error) {
	err := s.called(ctx, "Governance", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.governed, err
}

func (s settings) SetGovernance(
	ctx context.Context, change func(policy.Governance) (policy.Governance, lifecycle.Event, error),
) (policy.Governance, error) {
	if err := s.called(ctx, "SetGovernance", ""); err != nil {
		return policy.Governance{}, err
	}
	defer s.inAct()()
	var next policy.Governance
	var event lifecycle.Event
	var err error
	was := s.governed
	if s.within(func() { next, event, err = change(was) }); err != nil {
		return was, err
	}
	s.mustBeAct(acts.Mount, event)
	if policy := next.DefaultPolicy; policy != "" && len(s.policies[policy]) == 0 {
		return s.governed, refusal.NoPolicy(policy)
	}
	s.governed = next
	return next, nil
}
