// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// GovernanceChange is what an operator asks to change; nil leaves a setting as it is.
type GovernanceChange struct {
	RequirePolicy *bool
	DefaultPolicy *string
	Reason        string
}

// Settings are those of the mount.
type Settings struct{ *Session }

// Governance returns how the mount's keys come under a policy.
func (s Settings) Governance(ctx context.Context) (lifecycle.Governance, error) {
	return s.store.Settings.Governance(ctx)
}

// SetGovernance changes it for the keys that are made or changed from now on.
func (s Settings) SetGovernance(ctx context.Context, c GovernanceChange) (lifecycle.Governance, error) {
	var before lifecycle.Governance
	var asked string
	after, err := s.store.Settings.SetGovernance(ctx, func(g lifecycle.Governance) lifecycle.Governance {
		before = g
		if c.RequirePolicy != nil {
			g.RequirePolicy = *c.RequirePolicy
		}
		if c.DefaultPolicy != nil {
			g.DefaultPolicy = *c.DefaultPolicy
		}
		asked = g.DefaultPolicy
		return g
	})
	switch {
	case errors.Is(err, lifecycle.ErrNotFound):
		err = lifecycle.InvalidField("default_policy", asked, "no policy has this name")
	case errors.Is(err, lifecycle.ErrUnreadable):
		err = lifecycle.InvalidField("default_policy", asked, err.Error())
	}
	if err == nil && after != before {
		s.Log.Info("configured engine", "require_policy", after.RequirePolicy, "default_policy", after.DefaultPolicy, "reason", c.Reason)
	}
	return after, err
}

// withDefaultPolicy returns a key that is being made under the policy that it gets where its maker named none.
func (s *Session) withDefaultPolicy(ctx context.Context, k lifecycle.Key, asked *string) (lifecycle.Key, error) {
	if k.Policy != "" {
		return k, nil
	}
	g, err := s.store.Settings.Governance(ctx)
	if err != nil {
		return k, err
	}
	if k.Policy, err = g.PolicyFor(asked); err != nil {
		return k, err
	}
	return lifecycle.New(k, k.Created)
}

// checkDetach reports whether a key may be left without a policy.
func (s *Session) checkDetach(ctx context.Context) error {
	g, err := s.store.Settings.Governance(ctx)
	if err != nil {
		return err
	}
	return g.CheckDetach()
}
