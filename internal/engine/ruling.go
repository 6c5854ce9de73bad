// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// This file finds the policy of a key. One that is missing or cannot be read is not in the way of what its keys did: they
// have strict rules, and it is said why.

func (e *Engine) policy(ctx context.Context, r Repo, name string) (*lifecycle.Policy, error) {
	return e.policies.get(name, func() (*lifecycle.Policy, error) {
		p, err := r.Policy(ctx, name)
		return &p, err
	})
}

// ruling returns the policy that the key names; nil where it names none. The error says why the policy says nothing.
func (e *Engine) ruling(ctx context.Context, r Repo, k lifecycle.Key) (*lifecycle.Policy, error) {
	if k.Policy == "" {
		return nil, nil //nolint:nilnil // no policy is an answer
	}
	p, err := e.policy(ctx, r, k.Policy)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// saysNothing reports that it is the policy that is missing or cannot be read, and not storage that fails.
func saysNothing(err error) bool {
	return errors.Is(err, lifecycle.ErrNotFound) || errors.Is(err, lifecycle.ErrUnreadable)
}

// policyOf returns the policy that governs the key; nil where none does, or where it says nothing.
func (e *Engine) policyOf(ctx context.Context, r Repo, k lifecycle.Key) (*lifecycle.Policy, error) {
	p, err := e.ruling(ctx, r, k)
	if saysNothing(err) {
		return nil, nil //nolint:nilnil // as above; lifecycle.Plan says so to the operator
	}
	return p, err
}

// demanded returns the policy of a key for what only it can allow. The error is a refusal where it says nothing.
func (e *Engine) demanded(ctx context.Context, r Repo, k lifecycle.Key) (*lifecycle.Policy, error) {
	p, err := e.ruling(ctx, r, k)
	if errors.Is(err, lifecycle.ErrUnreadable) {
		return nil, lifecycle.Refusedf("%v", err)
	}
	return p, err
}

// inForce is a policy as it stands.
type inForce struct {
	last  *lifecycle.Policy // the last revision, or what stands for it where it cannot be read
	rules *lifecycle.Policy // the same; nil where it says nothing
	fault error             // why it does not
}

// inForce reads a policy past the cache. The error is lifecycle.ErrNotFound where there is none.
func (e *Engine) inForce(ctx context.Context, r Repo, name string) (inForce, error) {
	p, err := r.Policy(ctx, name)
	if err == nil {
		return inForce{last: &p, rules: &p}, nil
	}
	if !errors.Is(err, lifecycle.ErrUnreadable) {
		return inForce{}, err
	}
	revisions, listErr := r.Revisions(ctx, name)
	p = lifecycle.Unreadable(name, revisions)
	return inForce{last: &p, fault: err}, listErr
}

// Ungoverned is a policy that says nothing to the keys that are bound to it.
type Ungoverned struct {
	Policy string
	Why    error
	Keys   []string // that the index has under the policy
}

// ungoverned returns these policies. What is cached of the others is not read again.
func (e *Engine) ungoverned(ctx context.Context, r Repo) ([]Ungoverned, error) {
	names, err := r.BoundPolicies(ctx)
	var list []Ungoverned
	for _, name := range names {
		_, why := e.policy(ctx, r, name)
		if why == nil {
			continue
		}
		keys, listErr := r.BoundKeys(ctx, name)
		err = errors.Join(err, listErr)
		list = append(list, Ungoverned{name, why, keys})
	}
	return list, err
}
