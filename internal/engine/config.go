// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// GovernanceChange is what an operator asks to change; nil leaves a setting as it is.
type GovernanceChange struct {
	RequirePolicy *bool
	DefaultPolicy *string
	Reason        string
}

// Governance returns how the mount's keys come under a policy.
func (e *Engine) Governance(ctx context.Context, r Repo) (lifecycle.Governance, error) {
	return r.Governance(ctx)
}

// SetGovernance changes it for the keys that are made or changed from now on.
func (e *Engine) SetGovernance(ctx context.Context, r Repo, c GovernanceChange) (lifecycle.Governance, error) {
	var before lifecycle.Governance
	after, err := r.SetGovernance(ctx, func(g lifecycle.Governance) lifecycle.Governance {
		before = g
		if c.RequirePolicy != nil {
			g.RequirePolicy = *c.RequirePolicy
		}
		if c.DefaultPolicy != nil {
			g.DefaultPolicy = *c.DefaultPolicy
		}
		return g
	})
	if err == nil && after != before {
		e.log.Info("configured engine", "require_policy", after.RequirePolicy, "default_policy", after.DefaultPolicy, "reason", c.Reason)
	}
	return after, err
}

// withDefaultPolicy returns a key that is being made under the policy that it gets where its maker named none.
func (e *Engine) withDefaultPolicy(ctx context.Context, r Repo, k lifecycle.Key, asked *string) (lifecycle.Key, error) {
	if k.Policy != "" {
		return k, nil
	}
	g, err := r.Governance(ctx)
	if err != nil {
		return k, err
	}
	if k.Policy, err = g.PolicyFor(asked); err != nil {
		return k, err
	}
	return lifecycle.New(k, k.Created)
}

// checkDetach reports whether a key may be left without a policy.
func (e *Engine) checkDetach(ctx context.Context, r Repo) error {
	g, err := r.Governance(ctx)
	if err != nil {
		return err
	}
	return g.CheckDetach()
}
