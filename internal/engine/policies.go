// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Policy returns the revision of a policy that is in force. The error is lifecycle.ErrNotFound where there is none.
func (e *Engine) Policy(ctx context.Context, r Repo, name string) (lifecycle.Policy, error) {
	p, err := e.policy(ctx, r, name)
	if err != nil {
		return lifecycle.Policy{}, err
	}
	return *p, nil
}

// Revisions returns how many revisions a policy has had; the last one is in force.
func (e *Engine) Revisions(ctx context.Context, r Repo, name string) (int, error) {
	return r.Revisions(ctx, name)
}

// PolicyRevision returns the n-th revision of a policy, or lifecycle.ErrNotFound.
func (e *Engine) PolicyRevision(ctx context.Context, r Repo, name string, n int) (lifecycle.Policy, error) {
	return r.PolicyRevision(ctx, name, n)
}

// PolicyNames returns the names of all policies in alphabetical order.
func (e *Engine) PolicyNames(ctx context.Context, r Repo) ([]string, error) {
	return r.PolicyNames(ctx)
}

// Edit makes a document from the one in force, or from the defaults for a policy that is new or cannot be read.
type Edit func(lifecycle.Document) (lifecycle.Document, error)

// PutPolicy writes a new revision. Content that is in force already makes no revision. Bound keys follow with the next
// ticks.
func (e *Engine) PutPolicy(ctx context.Context, r Repo, name string, edit Edit, pre Precondition) (lifecycle.Policy, error) {
	defer e.policies.drop(name)
	before := 0
	p, err := r.PutPolicy(ctx, name, func(current *lifecycle.Policy) (lifecycle.Policy, error) {
		if current != nil {
			before = current.Revision
		}
		if err := lifecycle.CheckRevision(pre.CAS, before); err != nil {
			return lifecycle.Policy{}, err
		}
		return e.revised(name, current, edit)
	})
	if err != nil {
		return lifecycle.Policy{}, err
	}
	if p.Revision != before {
		e.log.Info("wrote policy", "policy", name, "revision", p.Revision, "hash", p.Hash, "reason", pre.Reason)
	}
	return p, nil
}

// revised returns the revision that an edit of the one in force makes, or that one itself where it says the same.
// Current is nil for a new policy.
func (e *Engine) revised(name string, current *lifecycle.Policy, edit Edit) (lifecycle.Policy, error) {
	doc, before := lifecycle.DefaultDocument(), 0
	if current != nil {
		doc, before = current.Document, current.Revision
	}
	doc, err := edit(doc)
	if err != nil {
		return lifecycle.Policy{}, err
	}
	next, err := lifecycle.NewPolicy(name, before+1, doc, e.latest())
	switch {
	case err != nil:
		return lifecycle.Policy{}, err
	case current != nil && next.Same(*current):
		return *current, nil
	}
	return next.Revised(current), nil
}

// DeletePolicy deletes a policy that governs no key; deleting what is not there is no error.
func (e *Engine) DeletePolicy(ctx context.Context, r Repo, name string, pre Precondition) error {
	defer e.policies.drop(name)
	err := r.DeletePolicy(ctx, name, func(p lifecycle.Policy) error {
		return lifecycle.CheckRevision(pre.CAS, p.Revision)
	})
	switch {
	case errors.Is(err, lifecycle.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	e.log.Info("deleted policy", "policy", name, "reason", pre.Reason)
	return nil
}
