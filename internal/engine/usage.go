// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Used is what a version protected, and the most that it may.
type Used struct {
	lifecycle.Usage
	Limits  lifecycle.Limits
	OnLimit lifecycle.OnLimit
}

// Usage returns what a version protected; 0: the active one. Nothing is counted of a key that has no limits.
func (e *Engine) Usage(ctx context.Context, r Repo, name string, version int) (Used, error) {
	k, err := e.governedKey(ctx, r, name)
	if err != nil {
		return Used{}, err
	}
	if version == 0 {
		version = k.Primary
	}
	used := Used{Limits: k.rules.Limits, OnLimit: k.rules.OnLimit}
	leased, err := r.Leased(ctx, name, k.ID, version)
	used.Usage = e.counted(versionID{k.ID, version}, leased, used.Limits)
	return used, err
}

// counted is what counts against the limits, of what was leased in all.
func (e *Engine) counted(id versionID, leased lifecycle.Usage, limits lifecycle.Limits) lifecycle.Usage {
	if m, ok := e.meters.peek(id); ok {
		return leased.Beyond(m.unused(limits))
	}
	return leased
}

// leasedUnder returns what was leased of the active version. Where none of the policies limits it, nothing is read.
func leasedUnder(ctx context.Context, r Repo, k lifecycle.Key, policies ...*lifecycle.Policy) (lifecycle.Usage, error) {
	limits := func(p *lifecycle.Policy) bool { return !k.RulesFor(p).Limits.None() }
	if k.Primary == 0 || !slices.ContainsFunc(policies, limits) {
		return lifecycle.Usage{}, nil
	}
	return r.Leased(ctx, k.Name, k.ID, k.Primary)
}

// withLimitNoted returns the key with the note that its next encryption will make, where the policy leaves no room for one.
func (e *Engine) withLimitNoted(k lifecycle.Key, p *lifecycle.Policy, leased lifecycle.Usage, now time.Time) lifecycle.Key {
	limits := k.RulesFor(p).Limits
	least := lifecycle.Usage{Encryptions: 1, Bytes: 1}
	return k.Exhausted(e.counted(versionID{k.ID, k.Primary}, leased, limits).Plus(least), limits, now)
}
