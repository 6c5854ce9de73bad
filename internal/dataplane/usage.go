// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Used is what a version protected, and the most that it may.
type Used struct {
	policy.Usage
	Limits  policy.Limits
	OnLimit policy.OnLimit
}

// Used returns what a version protected; 0: the active one. Nothing is counted of a key that has no limits.
func (s *Session) Used(ctx context.Context, name string, version int) (Used, error) {
	k, err := s.Governed(ctx, name)
	if err != nil {
		return Used{}, err
	}
	if version == 0 {
		version = k.Primary
	}
	leased, err := s.Usage.Leased(ctx, name, k.ID, version)
	return s.plane.UsedOf(k, version, leased), err
}

// UsedOf is Used for who knows what was leased.
func (p *Plane) UsedOf(k Governed, version int, leased policy.Usage) Used {
	counted := p.counted(versionID{k.ID, version}, leased, k.Rules.Limits)
	return Used{Usage: counted, Limits: k.Rules.Limits, OnLimit: k.Rules.OnLimit}
}

// counted is what counts against the limits, of what was leased in all.
func (p *Plane) counted(id versionID, leased policy.Usage, limits policy.Limits) policy.Usage {
	if m, ok := p.meters.Peek(id); ok {
		return leased.Beyond(m.unused(limits))
	}
	return leased
}

// LeasedUnder returns what was leased of the active version. Where none of the policies limits it, nothing is read.
func (s *Session) LeasedUnder(ctx context.Context, k lifecycle.Key, policies ...*policy.Policy) (policy.Usage, error) {
	limits := func(p *policy.Policy) bool { return !k.RulesFor(p).Limits.None() }
	if k.Primary == 0 || !slices.ContainsFunc(policies, limits) {
		return policy.Usage{}, nil
	}
	return s.Usage.Leased(ctx, k.Name, k.ID, k.Primary)
}

// WithLimitNoted returns the key with the note that its next encryption will make, where the policy leaves no room for one.
func (s *Session) WithLimitNoted(k lifecycle.Key, p *policy.Policy, leased policy.Usage, now time.Time) lifecycle.Key {
	limits := k.RulesFor(p).Limits
	least := policy.Usage{Encryptions: 1, Bytes: 1}
	return k.Exhausted(s.plane.counted(versionID{k.ID, k.Primary}, leased, limits).Plus(least), limits, now)
}
