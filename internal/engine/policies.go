// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Policy returns a revision of a policy; 0 is the one in force. The error is lifecycle.ErrNotFound where there is
// none.
func (e *Engine) Policy(ctx context.Context, r Repo, name string, revision int) (lifecycle.Policy, error) {
	if revision != 0 {
		return r.PolicyRevision(ctx, name, revision)
	}
	p, err := e.policy(ctx, r, name)
	if err != nil {
		return lifecycle.Policy{}, err
	}
	return *p, nil
}

// PolicyNames returns the names of all policies in alphabetical order.
func (e *Engine) PolicyNames(ctx context.Context, r Repo) ([]string, error) {
	return r.PolicyNames(ctx)
}

// PutPolicy writes a new revision. edit gets the document in force, or the defaults for a new policy. Content that
// is in force already makes no revision. Bound keys follow with the next ticks.
func (e *Engine) PutPolicy(
	ctx context.Context, r Repo, name string, edit func(lifecycle.Document) (lifecycle.Document, error), pre Precondition,
) (lifecycle.Policy, error) {
	defer e.policies.drop(name)
	before := 0
	p, err := r.PutPolicy(ctx, name, func(current *lifecycle.Policy) (lifecycle.Policy, error) {
		doc := lifecycle.DefaultDocument()
		if current != nil {
			before, doc = current.Revision, current.Document
		}
		if err := lifecycle.CheckRevision(pre.CAS, before); err != nil {
			return lifecycle.Policy{}, err
		}
		doc, err := edit(doc)
		if err != nil {
			return lifecycle.Policy{}, err
		}
		next, err := lifecycle.NewPolicy(name, before+1, doc, e.now())
		if err == nil && current != nil && next.Hash == current.Hash {
			return *current, nil
		}
		return next, err
	})
	if err != nil {
		return lifecycle.Policy{}, err
	}
	if p.Revision != before {
		e.log.Info("wrote policy", "policy", name, "revision", p.Revision, "hash", p.Hash, "reason", pre.Reason)
	}
	return p, nil
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
