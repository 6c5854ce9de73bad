// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import "github.com/keylife/vault-plugin-keylife/internal/refusal"

// Governance says how the keys of a mount come under a policy.
type Governance struct {
	RequirePolicy bool   // every new key has one
	DefaultPolicy string // of keys whose maker names none; empty: none
}

// PolicyFor returns the name of the policy that a new key gets. Asked is nil where its maker left it open; the empty
// name asks for none. The error is [refusal.ErrInvalid].
func (g Governance) PolicyFor(asked *string) (string, error) {
	name := g.DefaultPolicy
	if asked != nil {
		name = *asked
	}
	if name == "" && g.RequirePolicy {
		return "", refusal.InvalidField("policy", "", "config/engine has require_policy: a new key needs a policy")
	}
	return name, nil
}

// CheckDetach reports whether a key may be left without a policy. The error is [refusal.ErrInvalid].
func (g Governance) CheckDetach() error {
	if g.RequirePolicy {
		return refusal.InvalidField("policy", "", "config/engine has require_policy: a key cannot be detached from its policy")
	}
	return nil
}
