// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Policies is what is done with policies.
type Policies struct{ *Session }

// Read returns the revision of a policy that is in force. The error is refusal.ErrNotFound where there is none.
func (s Policies) Read(ctx context.Context, name string) (policy.Policy, error) {
	p, err := s.data.Policy(ctx, name)
	if err != nil {
		return policy.Policy{}, err
	}
	return *p, nil
}

// Revisions returns how many revisions a policy has had; the last one is in force.
func (s Policies) Revisions(ctx context.Context, name string) (int, error) {
	return s.store.Policies.Revisions(ctx, name)
}

// Revision returns the n-th revision of a policy, or refusal.ErrNotFound.
func (s Policies) Revision(ctx context.Context, name string, n int) (policy.Policy, error) {
	return s.store.Policies.PolicyRevision(ctx, name, n)
}

// Names returns the names of all policies in alphabetical order.
func (s Policies) Names(ctx context.Context) ([]string, error) {
	return s.store.Policies.PolicyNames(ctx)
}

// Summary returns a policy for a table of many, and how many keys the index has under it.
func (s Policies) Summary(ctx context.Context, name string) (policy.Policy, int, error) {
	p, err := s.data.Policy(ctx, name)
	if err != nil {
		return policy.Policy{}, 0, err
	}
	bound, err := s.store.Policies.BoundKeys(ctx, name)
	return *p, len(bound), err
}

// Edit makes a document from the one in force, or from the defaults for a policy that is new or cannot be read.
type Edit func(policy.Document) (policy.Document, error)

// Put writes a new revision. Content that is in force already makes no revision. Bound keys follow with the next
// ticks.
func (s Policies) Put(ctx context.Context, name string, edit Edit, pre Precondition) (p policy.Policy, err error) {
	err = s.Approvers().withRoster(ctx, func(roster *consent.Roster) error {
		p, err = s.put(ctx, name, edit, pre, roster)
		return err
	})
	return p, err
}

// put is [Policies.Put] with the roster, if it was looked up; the error is errRosterNeeded where it has to be.
func (s Policies) put(ctx context.Context, name string, edit Edit, pre Precondition, roster *consent.Roster) (policy.Policy, error) {
	defer s.PolicyChanged(name)
	before := 0
	p, err := s.store.Policies.PutPolicy(ctx, name, func(current *policy.Policy) (next policy.Policy, e lifecycle.Event, err error) {
		if current != nil {
			before = current.Revision
		}
		if err := refusal.CheckRevision(pre.CAS, before); err != nil {
			return next, e, err
		}
		if next, err = s.revised(name, current, edit); err != nil {
			return next, e, err
		}
		if err := checkPool(current, next, roster); err != nil {
			return next, e, err
		}
		e, err = s.permitPolicy(ctx, current, &next, pre, revision(current, next, pre.Reason))
		return next, e, err
	})
	err = s.gate().filed(ctx, err)
	switch {
	case errors.Is(err, refusal.ErrRepeated):
		return p, nil
	case err != nil:
		return policy.Policy{}, err
	}
	if p.Revision != before {
		s.Log.Info("wrote policy", "policy", name, "revision", p.Revision, "hash", p.Hash, "reason", pre.Reason)
	}
	return p, nil
}

// revision is what custody says of a revision: what it changed in the one before or, of a new policy, in the defaults.
func revision(current *policy.Policy, next policy.Policy, reason string) lifecycle.Event {
	before := policy.Policy{Document: policy.DefaultDocument()}
	if current != nil {
		before = *current
	}
	details := lifecycle.PolicyDifferences(before.Document, next.Document)
	details["revision"] = fmt.Sprintf("%d -> %d", before.Revision, next.Revision)
	details["policy_hash"] = next.Hash
	return lifecycle.Event{
		Act: string(acts.Write), Reason: reason, Policy: next.Name, PolicyRevision: next.Revision, Details: details,
	}
}

// revised returns the revision that an edit of the one in force makes, or that one itself where it says the same.
// Current is nil for a new policy.
func (s Policies) revised(name string, current *policy.Policy, edit Edit) (policy.Policy, error) {
	doc, before := policy.DefaultDocument(), 0
	if current != nil {
		doc, before = current.Document, current.Revision
	}
	doc, err := edit(doc)
	if err != nil {
		return policy.Policy{}, err
	}
	next, err := policy.New(name, before+1, doc, s.Plane.Latest())
	switch {
	case err != nil:
		return policy.Policy{}, err
	case current != nil && next.Same(*current):
		return *current, nil
	}
	return next.Revised(current), nil
}

// Delete deletes a policy that governs no key; deleting what is not there is no error.
func (s Policies) Delete(ctx context.Context, name string, pre Precondition) error {
	defer s.PolicyChanged(name)
	event := lifecycle.Event{Act: string(acts.Delete), Reason: pre.Reason}
	err := s.store.Policies.DeletePolicy(ctx, name, event, func(p policy.Policy, e lifecycle.Event) (lifecycle.Event, error) {
		if err := refusal.CheckRevision(pre.CAS, p.Revision); err != nil {
			return e, err
		}
		return s.permitPolicy(ctx, &p, nil, pre, e)
	}, func(use policy.Use) error { return use.CheckDelete(name) })
	err = s.gate().filed(ctx, err)
	switch {
	case errors.Is(err, refusal.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	s.Log.Info("deleted policy", "policy", name, "reason", pre.Reason)
	return nil
}
