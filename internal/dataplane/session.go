// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Session is the data plane during one request.
type Session struct {
	Storage
	plane *Plane
}

// Session binds the data plane to the storage of one request.
func (p *Plane) Session(s Storage) Session { return Session{s, p} }

// Key returns the committed key. The snapshot is shared: it must not be changed.
func (s *Session) Key(ctx context.Context, name string) (*lifecycle.Key, error) {
	k, ok := s.plane.keys.Get(name)
	if s.plane.Observe.Keys.Found(ok); ok {
		return k, nil
	}
	return s.plane.keys.Load(name, func() (*lifecycle.Key, error) {
		k, err := s.Keys.Key(ctx, name)
		return &k, err
	})
}

// KeyOfMany is Key for a look at many keys, which must not drive out those that requests need.
func (s *Session) KeyOfMany(ctx context.Context, name string) (*lifecycle.Key, error) {
	if k, ok := s.plane.keys.Peek(name); ok {
		return k, nil
	}
	k, err := s.Keys.Key(ctx, name)
	return &k, err
}

// Policy returns the revision of a policy that is in force. The snapshot is shared, as a key's is.
func (s *Session) Policy(ctx context.Context, name string) (*policy.Policy, error) {
	p, ok := s.plane.policies.Get(name)
	if s.plane.Observe.Policies.Found(ok); ok {
		return p, nil
	}
	return s.plane.policies.Load(name, func() (*policy.Policy, error) {
		p, err := s.Policies.Policy(ctx, name)
		return &p, err
	})
}

// Ruling returns the policy that a key names; nil where it names none. The error says why the policy says nothing. A policy
// that is missing or cannot be read is not in the way of what its keys did: they have strict rules, and it is said why.
func (s *Session) Ruling(ctx context.Context, k *lifecycle.Key) (*policy.Policy, error) {
	if k.Policy == "" {
		return nil, nil //nolint:nilnil // no policy is an answer
	}
	p, err := s.Policy(ctx, k.Policy)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// SaysNothing reports that it is the policy that is missing or cannot be read, and not storage that fails.
func SaysNothing(err error) bool {
	return errors.Is(err, refusal.ErrNotFound) || errors.Is(err, refusal.ErrUnreadable)
}

// PolicyOf returns the policy that governs the key; nil where none does, or where it says nothing.
func (s *Session) PolicyOf(ctx context.Context, k *lifecycle.Key) (*policy.Policy, error) {
	p, err := s.Ruling(ctx, k)
	if SaysNothing(err) {
		return nil, nil //nolint:nilnil // as above; lifecycle.Plan says so to the operator
	}
	return p, err
}

// Governed is a snapshot of a key, with the rules in force for it.
type Governed struct {
	*lifecycle.Key
	Rules policy.EffectiveRules
}

// Governed returns one snapshot of the key, so that one request sees one state.
func (s *Session) Governed(ctx context.Context, name string) (Governed, error) {
	k, err := s.Key(ctx, name)
	if err != nil {
		return Governed{}, err
	}
	p, err := s.PolicyOf(ctx, k)
	return Governed{k, k.RulesFor(p)}, err
}

// changed reports whether the committed key is another than the snapshot, which is forgotten then.
func (s *Session) changed(ctx context.Context, k *lifecycle.Key) bool {
	s.plane.KeyChanged(k.Name)
	fresh, err := s.Key(ctx, k.Name)
	if err != nil {
		return errors.Is(err, refusal.ErrNotFound)
	}
	return fresh.ID != k.ID || fresh.Revision != k.Revision
}
