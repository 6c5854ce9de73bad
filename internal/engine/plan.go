// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file looks ahead. It writes nothing, and reads keys and policies past the caches: a report over all keys of a
// policy must not drive out what requests need.

// Page asks for the names behind After, at most Limit.
type Page struct {
	After string
	Limit int
}

// of returns the page of the names, which are sorted, and what the next page is to begin after; empty: this is the last.
func (p Page) of(names []string) (page []string, next string) {
	page = namesAfter(names, p.After)
	if p.Limit < len(page) {
		page = page[:p.Limit]
		next = page[p.Limit-1]
	}
	return page, next
}

// namesAfter returns the names, which are sorted, that come after one of them or after where it would be.
func namesAfter(names []string, name string) []string {
	start, found := slices.BinarySearch(names, name)
	if found {
		start++
	}
	return names[start:]
}

// PolicyPlan is what writing a policy would change.
type PolicyPlan struct {
	Before policy.Policy // in force; revision 0 with the defaults for a new policy
	After  policy.Policy // as it would be
	Looser []policy.Loosening
	Needs  string    // the rule that says whose consent the write needs, as it is looser; empty: nobody's
	Bound  int       // keys that the index has under the policy
	Keys   []KeyPlan // a page of them
	Next   string
}

// KeyPlan is how a bound key stands under the policy in force and under the one that is planned.
type KeyPlan struct {
	Name          string
	Before, After PolicyStatus
}

// PolicyStatus is how a key stands under a policy.
type PolicyStatus struct {
	Plan     lifecycle.RotationPlan
	First    *lifecycle.Pending // of the pending transitions; nil: there is none
	Findings []policy.Finding
	At       time.Time // as of when
}

// Due reports whether the time has come of a rotation, whoever has to rotate, or of a pending transition.
func (s PolicyStatus) Due() bool {
	step := s.First != nil && !s.First.At.After(s.At)
	next := s.Plan.Next
	return step || (!next.IsZero() && !next.After(s.At))
}

// Compliance returns what the key would no longer meet, what it does not meet either way, and what it would meet again.
func (k KeyPlan) Compliance() (becomes, stays, ends []policy.Finding) {
	for _, f := range k.After.Findings {
		if containsFinding(k.Before.Findings, f) {
			stays = append(stays, f)
		} else {
			becomes = append(becomes, f)
		}
	}
	for _, f := range k.Before.Findings {
		if !containsFinding(k.After.Findings, f) {
			ends = append(ends, f)
		}
	}
	return becomes, stays, ends
}

func containsFinding(findings []policy.Finding, f policy.Finding) bool {
	return slices.ContainsFunc(findings, func(o policy.Finding) bool { return findingID(o) == findingID(f) })
}

// findingID is what a finding is about, whatever numbers and times it quotes. A key has one finding about its rotation.
func findingID(f policy.Finding) string {
	if f.Field == "rotation" {
		return f.Field
	}
	return f.Field + " " + strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || r == '_' {
			return r
		}
		return -1
	}, f.Rule)
}

// Plan tells what Put with the same edit would lead to. Its errors are those of Put.
func (s Policies) Plan(ctx context.Context, name string, edit Edit, page Page) (PolicyPlan, error) {
	now, err := s.inForce(ctx, name)
	if err != nil && !errors.Is(err, refusal.ErrNotFound) {
		return PolicyPlan{}, err
	}
	plan := PolicyPlan{Before: policy.Unreadable(name, 0)}
	if now.last != nil {
		plan.Before = *now.last
	}
	if plan.After, err = s.revised(name, now.last, edit); err != nil {
		return PolicyPlan{}, err
	}
	if err := s.Approvers().withRoster(ctx, func(roster *consent.Roster) error { return checkPool(now.last, plan.After, roster) }); err != nil {
		return PolicyPlan{}, err
	}
	plan.Looser = policy.LooserThan(now.rules, &plan.After)
	if rule, ok := now.rules.Approval(acts.GatePolicy); ok && len(plan.Looser) > 0 {
		plan.Needs = rule.String()
	}
	wrapped := s.protection()
	plan.Bound, plan.Next, err = s.eachBound(ctx, name, page, func(k lifecycle.Key) error {
		leased, err := s.data.LeasedUnder(ctx, k, now.rules, &plan.After)
		if err != nil {
			return err
		}
		before, err := s.policyStatus(ctx, k, now.rules, leased, wrapped)
		if err != nil {
			return err
		}
		after, err := s.policyStatus(ctx, k, &plan.After, leased, wrapped)
		plan.Keys = append(plan.Keys, KeyPlan{Name: k.Name, Before: before, After: after})
		return err
	})
	return plan, err
}

// eachBound looks at the keys of a page that are bound to the policy. The index may name some that are not.
func (s Policies) eachBound(
	ctx context.Context, policy string, page Page, look func(lifecycle.Key) error,
) (bound int, next string, err error) {
	names, err := s.store.Policies.BoundKeys(ctx, policy)
	if err != nil {
		return 0, "", err
	}
	few, next := page.of(names)
	for _, name := range few {
		k, err := s.store.Keys.Key(ctx, name)
		if errors.Is(err, refusal.ErrNotFound) || (err == nil && k.Policy != policy) {
			continue
		}
		if err != nil {
			return 0, "", err
		}
		if err := look(k); err != nil {
			return 0, "", err
		}
	}
	return len(names), next, nil
}

func (s Policies) policyStatus(
	ctx context.Context, k lifecycle.Key, p *policy.Policy, leased policy.Usage, wrapped *protection,
) (PolicyStatus, error) {
	unsafe, err := wrapped.findings(ctx, k, p)
	if err != nil {
		return PolicyStatus{}, err
	}
	if k, err = s.withOldest(ctx, k, p); err != nil {
		return PolicyStatus{}, err
	}
	now := s.Now()
	k = s.data.WithLimitNoted(k, p, leased, now)
	status := PolicyStatus{Plan: lifecycle.Plan(k, p, now), Findings: append(lifecycle.Drift(k, p, now), unsafe...), At: now}
	if pending := lifecycle.PendingTransitions(k, p, now); len(pending) > 0 {
		status.First = &pending[0]
	}
	return status, nil
}

// PolicyDrift says which keys do not meet the revision in force.
type PolicyDrift struct {
	Policy   policy.Policy
	Bound    int // keys that the index has under the policy
	Checked  int // of them, on this page
	Drifting []Drifting
	Next     string
	Pool     []policy.Finding // rules of consent that too few people can satisfy
}

// Drifting is a key that does not meet its policy.
type Drifting struct {
	Name     string
	Findings []policy.Finding
}

// Drift checks a page of the keys bound to a policy.
func (s Policies) Drift(ctx context.Context, name string, page Page) (PolicyDrift, error) {
	p, err := s.inForce(ctx, name)
	if err != nil {
		return PolicyDrift{}, err
	}
	report, wrapped := PolicyDrift{Policy: *p.last}, s.protection()
	if report.Pool, err = s.Approvers().poolFindings(ctx, p.rules); err != nil {
		return PolicyDrift{}, err
	}
	report.Bound, report.Next, err = s.eachBound(ctx, name, page, func(k lifecycle.Key) error {
		report.Checked++
		leased, err := s.data.LeasedUnder(ctx, k, p.rules)
		if err != nil {
			return err
		}
		unsafe, err := wrapped.findings(ctx, k, p.rules)
		if err != nil {
			return err
		}
		now := s.Now()
		findings := append(lifecycle.Drift(s.data.WithLimitNoted(k, p.rules, leased, now), p.rules, now), unsafe...)
		if p.fault != nil {
			findings[0].Rule += ": " + p.fault.Error()
		}
		if len(findings) > 0 {
			report.Drifting = append(report.Drifting, Drifting{k.Name, findings})
		}
		return nil
	})
	return report, err
}

// inForce is a policy as it stands.
type inForce struct {
	last  *policy.Policy // the last revision, or what stands for it where it cannot be read
	rules *policy.Policy // the same; nil where it says nothing
	fault error          // why it does not
}

// inForce reads a policy past the cache. The error is refusal.ErrNotFound where there is none.
func (s Policies) inForce(ctx context.Context, name string) (inForce, error) {
	p, err := s.store.Policies.Policy(ctx, name)
	if err == nil {
		return inForce{last: &p, rules: &p}, nil
	}
	if !errors.Is(err, refusal.ErrUnreadable) {
		return inForce{}, err
	}
	revisions, listErr := s.store.Policies.Revisions(ctx, name)
	p = policy.Unreadable(name, revisions)
	return inForce{last: &p, fault: err}, listErr
}
