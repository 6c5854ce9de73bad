// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// The pool of a rule are the approvers who can satisfy it. A rule of which it is too small is refused, and one of which it has
// become too small is named by drift.

// errRosterNeeded ends an act on a policy that has a new rule: Vault is asked for the approvers while no lock is held.
var errRosterNeeded = errors.New("internal error: the roster was not looked up")

// checkPool refuses a revision with a rule that is new, or other than it was, and that too few people can satisfy. The error is
// errRosterNeeded where the roster, which is nil then, has to say.
func checkPool(current *policy.Policy, next policy.Policy, roster *consent.Roster) error {
	rules := rulesOf(&next)
	switch {
	case len(rules) == 0, current != nil && next.Same(*current):
		return nil
	case roster == nil:
		return errRosterNeeded
	}
	return roster.CheckRules(rulesOf(current), rules)
}

// withRoster does what may end with errRosterNeeded, and then does it again with the roster.
func (s Approvers) withRoster(ctx context.Context, do func(*consent.Roster) error) error {
	err := do(nil)
	if !errors.Is(err, errRosterNeeded) {
		return err
	}
	roster, err := s.Roster(ctx)
	if err != nil {
		return err
	}
	return do(&roster)
}

// poolFindings tells which rules of a policy too few people can satisfy by now. A policy without rules costs nothing.
func (s Approvers) poolFindings(ctx context.Context, p *policy.Policy) (findings []policy.Finding, err error) {
	rules := placed("", rulesOf(p))
	if len(rules) == 0 {
		return nil, nil
	}
	roster, err := s.Roster(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if why := roster.Shrunk(r.Rule); why != "" {
			findings = append(findings, policy.Finding{Field: consent.FieldApprovals + "." + string(r.Gate), Value: r.Rule.String(), Rule: why})
		}
	}
	return findings, nil
}

// rulesOf returns the rules of a policy; nil has none.
func rulesOf(p *policy.Policy) map[acts.Gate]consent.Rule {
	rules := map[acts.Gate]consent.Rule{}
	for _, gate := range acts.Gates(acts.Version, acts.Key, acts.Policy) {
		if rule, has := p.Approval(gate); has {
			rules[gate] = rule
		}
	}
	return rules
}
