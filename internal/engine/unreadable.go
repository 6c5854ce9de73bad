// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file is about acts that end the rule of a policy that says nothing, because it cannot be read or is missing: a key leaves it, it
// is written anew, it is deleted. Nobody can tell whose consent it asked for, and to be without a way out would lock out recovery. On
// a mount with approvers such an act is done at once and reviewed afterwards, as one by break-glass is.

// anyApprover is the rule that stands in the review for the one that cannot be read: an approver who did not do it.
var anyApprover = consent.Rule{NotCreator: true}

const unreadablePolicyDetail = "unreadable_policy"

// leaving returns the event of a change that takes a key from a policy that says nothing.
func (s Keys) leaving(ctx context.Context, k, next lifecycle.Key, was *policy.Policy, pre Precondition, event lifecycle.Event) (lifecycle.Event, error) {
	if was != nil || k.Policy == "" || next.Policy == k.Policy {
		return event, nil
	}
	unknown := policy.Unreadable(k.Policy, 0)
	g := ofKey(acts.GateRebind, &k, &unknown, pre)
	g.parameters = event.Details
	return s.Approvals().Reviews().unruled(ctx, g, event)
}

// replacing returns the event of a write of a policy, or of its end, where the one in force cannot be read.
func (s Policies) replacing(ctx context.Context, current, next *policy.Policy, pre Precondition, event lifecycle.Event) (lifecycle.Event, error) {
	if current == nil || !current.IsUnreadable() {
		return event, nil
	}
	g := ofPolicy(current, pre)
	if next != nil {
		g = g.with("hash", next.Hash)
	} else {
		g = g.with("delete", "true")
	}
	return s.Approvals().Reviews().unruled(ctx, g, event)
}

// unruled returns the event of such an act with its review. A mount on which nobody has enrolled has no rule that could be met, and
// no review: custody alone keeps the act.
func (s Reviews) unruled(ctx context.Context, g gated, event lifecycle.Event) (lifecycle.Event, error) {
	event = event.With(unreadablePolicyDetail, g.policy.Name)
	at, err := s.situation(ctx)
	if err != nil {
		return event, err
	}
	if err := at.who.read(ctx); err != nil || len(at.who.enrolments) == 0 {
		return event, err
	}
	if len(strings.TrimSpace(g.Reason)) < consent.LeastGlassReason {
		return event, refusal.InvalidField("reason", g.Reason, fmt.Sprintf(
			"policy %q says nothing, so nobody is asked for consent, and what is done is reviewed by others, who are told the reason: at least %d bytes", g.policy.Name, consent.LeastGlassReason))
	}
	review, err := s.reviewOf(ctx, g, anyApprover, at, at.who.settings)
	if err != nil {
		return event, err
	}
	event.Review = &review
	return event.With(reviewDetail, review.ID()), nil
}

// logUnruled says loudly what was done; nil: nothing was that is to be reviewed.
func (s Reviews) logUnruled(r *consent.Review) {
	if r == nil {
		return
	}
	s.Log.Warn("the rule of a policy that says nothing was ended without consent", "review", r.ID(), "operation", string(r.Content.Operation),
		"subject", r.Content.Subject.Name, "policy", r.Content.Policy.Name, "actor", r.By(), "reason", r.Content.Reason, "review_due", utc(r.Due))
}
