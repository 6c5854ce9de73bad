// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// ReviewStore stores the reviews of acts by break-glass. An act writes its own, see [lifecycle.Event].
type ReviewStore interface {
	// Review returns a review, or refusal.ErrNotFound.
	Review(ctx context.Context, id string) (consent.Review, error)
	// ReviewIDs returns the ids of all that are kept, in alphabetical order.
	ReviewIDs(ctx context.Context) ([]string, error)
	// ChangeReview commits what change makes of a review while no act runs on what it is about. What changes nothing writes nothing,
	// and an error of change comes back as it is.
	ChangeReview(ctx context.Context, id string, about consent.Subject,
		change func(now consent.Review) (consent.Review, lifecycle.Event, error)) (consent.Review, error)
	// TookEffect reports whether the act that a review is of did.
	TookEffect(ctx context.Context, r consent.Review) (bool, error)
	// DropReview removes one that was closed, or is void.
	DropReview(ctx context.Context, id string) error
}

// Reviews is what is done by break-glass, and what people say of it afterwards.
type Reviews struct{ Approvals }

// Reviews returns what is done by break-glass, and what people say of it.
func (s Approvals) Reviews() Reviews { return Reviews{s} }

// Review is a review as it is shown.
type Review struct {
	consent.Review
	State consent.State
}

// The details of a custody record that tell of an act by break-glass.
const (
	breakGlassDetail = "break_glass"
	reviewDetail     = "review" // names its review
)

// breakGlass returns the event of an act that a rule asks for consent to, and that is done without: with its review, and what custody
// keeps of it. Dates of consents play no part, so a clock that is not trusted holds nothing back.
func (s Reviews) breakGlass(ctx context.Context, g gated, rule consent.Rule, event lifecycle.Event) (lifecycle.Event, error) {
	if rule.NotCreator && s.store.Caller.Entity != "" {
		creator, err := g.creator(ctx)
		if err != nil || creator != s.store.Caller.Entity { // the rule is kept
			return event, err
		}
	}
	settings, err := s.store.Approvers.ApprovalSettings(ctx)
	if err != nil {
		return event, err
	}
	at, err := s.situation(ctx)
	if err != nil {
		return event, err
	}
	if err := s.mayBreakGlass(ctx, g, settings, at); err != nil {
		return event, err
	}
	review, err := s.reviewOf(ctx, g, rule, at, settings)
	if err != nil {
		return event, err
	}
	if err := s.roomForReview(ctx, review, at); err != nil {
		return event, err
	}
	event.Review = &review
	return event.With(breakGlassDetail, "true").With(reviewDetail, review.ID()).With("needs", rule.String()), nil
}

// reviewOf returns the review of what is done although the rule, or one that cannot be read, asks for consent.
func (s Reviews) reviewOf(ctx context.Context, g gated, rule consent.Rule, at situation, settings consent.Settings) (consent.Review, error) {
	instance, err := s.store.Approvals.Instance(ctx)
	if err != nil {
		return consent.Review{}, err
	}
	asked, err := s.gate().newRequest(ctx, g, rule, g.content(instance, s.store.Caller), at)
	return consent.ReviewOf(asked, at.now.Add(settings.ReviewWithin)), err
}

// mayBreakGlass refuses what is not to be done by break-glass, or not by the caller, or for no reason worth the name.
func (s Reviews) mayBreakGlass(ctx context.Context, g gated, settings consent.Settings, at situation) error {
	if err := settings.CheckBreakGlass(g.gate); err != nil {
		return err
	}
	if len(strings.TrimSpace(g.Reason)) < consent.LeastGlassReason {
		return refusal.InvalidField("reason", g.Reason, fmt.Sprintf("%s by break-glass is reviewed by others, who are told the reason: at least %d bytes", g, consent.LeastGlassReason))
	}
	var who consent.Person
	if entity := s.store.Caller.Entity; entity != "" {
		var err error
		if who, err = at.who.person(ctx, entity); err != nil {
			return err
		}
	}
	if why := settings.WhyNoGlass(who); why != "" {
		return refusal.Refusedf("break_glass: %s", why)
	}
	return nil
}

// mostOpenReviews bounds what is to be reviewed at once.
const mostOpenReviews = 256

// roomForReview refuses an act by break-glass while a review is overdue, or too many are open.
func (s Reviews) roomForReview(ctx context.Context, next consent.Review, at situation) error {
	ids, err := s.store.Reviews.ReviewIDs(ctx)
	if err != nil {
		return err
	}
	open := 0
	for _, id := range ids {
		r, err := s.store.Reviews.Review(ctx, id)
		switch {
		case errors.Is(err, refusal.ErrNotFound): // dropped since it was listed
			continue
		case err != nil:
			return err
		case id == next.ID() && r.Digest != next.Digest:
			return refusal.Refusedf("another review has the id %s: give another reason", id)
		}
		state := r.StateIn(at.now, true)
		if state == consent.Overdue {
			if state, err = s.stateAt(ctx, r, at); err != nil {
				return err
			}
		}
		switch state {
		case consent.Overdue:
			return refusal.Refusedf("break_glass: review %s, of %s of %q by %s, is overdue since %s: nothing is done by break-glass until it is closed",
				id, r.Content.Operation, r.Content.Subject.Name, r.By(), utc(r.Due))
		case consent.Open:
			open++
		}
	}
	if open >= mostOpenReviews {
		return refusal.Refusedf("break_glass: %d reviews are open, and there can be no more: close some", open)
	}
	return nil
}

// logBreakGlass says loudly what was done by break-glass; nil: nothing was.
func (s Reviews) logBreakGlass(r *consent.Review) {
	if r == nil {
		return
	}
	s.Log.Warn("break-glass: acted without the consent that a rule asks for", "review", r.ID(), "operation", string(r.Content.Operation), "subject", r.Content.Subject.Name,
		"version", r.Content.Version, "actor", r.By(), "needs", r.Rule.String(), "reason", r.Content.Reason, "review_due", utc(r.Due))
}

// stateAt derives the state of a review.
func (s Reviews) stateAt(ctx context.Context, r consent.Review, at situation) (consent.State, error) {
	effective, err := s.store.Reviews.TookEffect(ctx, r)
	return r.StateIn(at.now, effective), err
}

// Read returns a review, or refusal.ErrNotFound.
func (s Reviews) Read(ctx context.Context, id string) (Review, error) {
	at, err := s.situation(ctx)
	if err != nil {
		return Review{}, err
	}
	r, err := s.store.Reviews.Review(ctx, id)
	if err != nil {
		return Review{}, err
	}
	state, err := s.stateAt(ctx, r, at)
	return Review{r, state}, err
}

// IDs returns the ids of all reviews that are kept, in alphabetical order.
func (s Reviews) IDs(ctx context.Context) ([]string, error) { return s.store.Reviews.ReviewIDs(ctx) }

// Close says of an act by break-glass whether it was justified. The same from the same person again changes nothing.
func (s Reviews) Close(ctx context.Context, id string, as consent.State, reason string) (Review, error) {
	me := s.store.Caller
	if me.Entity == "" {
		return Review{}, refusal.Refusedf("%s: a token without an entity cannot be told from others; log in", acts.CloseReview)
	}
	at, err := s.situation(ctx)
	if err != nil {
		return Review{}, err
	}
	r, err := s.store.Reviews.Review(ctx, id)
	if err != nil {
		return Review{}, err
	}
	again := false
	closed, err := s.store.Reviews.ChangeReview(ctx, id, r.Content.Subject, func(now consent.Review) (consent.Review, lifecycle.Event, error) {
		if again = now.Verdict == as && now.Reviewer == me.Entity; again {
			return now, lifecycle.Event{}, nil
		}
		next, err := s.judged(ctx, now, at)
		next.Verdict, next.Closing = as, reason
		return next, closeEvent(next), err
	})
	if err != nil {
		return Review{}, err
	}
	if !again {
		s.logVerdict(closed)
		s.dropOldReviews(ctx, at)
	}
	return Review{closed, closed.Verdict}, nil
}

// judged is a review with the caller as the person who closes it, if it may be closed by that.
func (s Reviews) judged(ctx context.Context, r consent.Review, at situation) (consent.Review, error) {
	state, err := s.stateAt(ctx, r, at)
	if err != nil {
		return r, err
	}
	if state != consent.Open && state != consent.Overdue {
		return r, refusal.Refusedf("%s is %s: nothing can be done with it any more", r.ID(), state)
	}
	p, why, err := s.approversNow().reviewer(ctx, r, s.store.Caller.Entity, at.now)
	switch {
	case err != nil:
		return r, err
	case why != "":
		return r, refusal.Refusedf("%s %s, and does not close its review: %s asks for %s", p, why, r.ID(), r.Rule)
	}
	r.Reviewer, r.Name, r.Closed = p.ID, p.Name, at.now
	return r, nil
}

// closeEvent is what custody keeps of a verdict.
func closeEvent(r consent.Review) lifecycle.Event {
	e := lifecycle.Event{Act: string(acts.CloseReview), Reason: r.Closing, Policy: r.Content.Policy.Name, PolicyRevision: r.Content.Policy.Revision, Details: map[string]string{
		reviewDetail: r.ID(), "digest": r.Digest, "operation": string(r.Content.Operation), "verdict": string(r.Verdict), "needs": r.Rule.String(), "actor": r.By(),
	}}
	if v := r.Content.Version; v > 0 {
		e = e.With("version", fmt.Sprint(v))
	}
	return e
}

func (s Reviews) logVerdict(r consent.Review) {
	log := s.Log.Info
	if r.Verdict == consent.Rejected {
		log = s.Log.Warn
	}
	log("closed the review of an act by break-glass", "review", r.ID(), "verdict", string(r.Verdict), "operation", string(r.Content.Operation),
		"subject", r.Content.Subject.Name, "actor", r.By(), "reviewer", consent.Person{ID: r.Reviewer, Name: r.Name}.String(), "reason", r.Closing)
}

// dropOldReviews drops reviews that were closed long ago, or are void. That it cannot is no failure of who closes one.
func (s Reviews) dropOldReviews(ctx context.Context, at situation) {
	ids, err := s.store.Reviews.ReviewIDs(ctx)
	for _, id := range ids {
		if err = cmp.Or(err, s.dropIfOld(ctx, id, at)); err != nil {
			break
		}
	}
	if err != nil {
		s.Log.Warn("old reviews are kept for now", "error", err)
	}
}

func (s Reviews) dropIfOld(ctx context.Context, id string, at situation) error {
	r, err := s.store.Reviews.Review(ctx, id)
	switch {
	case errors.Is(err, refusal.ErrNotFound):
		return nil
	case err != nil || at.now.Before(laterOf(r.Created, r.Closed).Add(closedKept)):
		return err
	}
	state, err := s.stateAt(ctx, r, at)
	if err != nil || state == consent.Open || state == consent.Overdue {
		return err
	}
	return s.store.Reviews.DropReview(ctx, id)
}
