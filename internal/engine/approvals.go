// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// ApprovalStore stores requests for consent.
type ApprovalStore interface {
	// Request returns a request, refusal.ErrNotFound, or refusal.ErrUnreadable. Any other error is of storage.
	Request(ctx context.Context, id string) (consent.Request, error)
	// RequestIDs returns the ids of all that are kept, in alphabetical order.
	RequestIDs(ctx context.Context) ([]string, error)
	// ChangeRequest commits what change makes of a request while no act runs on what it is about; now is nil where there is none.
	// What changes nothing writes nothing, and an error of change comes back as it is.
	ChangeRequest(ctx context.Context, id string, about consent.Subject,
		change func(now *consent.Request) (consent.Request, lifecycle.Event, error)) (consent.Request, error)
	// DropRequest removes one that has ended.
	DropRequest(ctx context.Context, id string) error
	// Executed reports whether the execution that a request names took effect.
	Executed(ctx context.Context, r consent.Request) (bool, error)
	// Instance returns the identity of the mount.
	Instance(ctx context.Context) (string, error)
}

// Approvals is what is done with requests for consent.
type Approvals struct{ *Session }

// Approvals returns what is done with requests for consent.
func (s *Session) Approvals() Approvals { return Approvals{s} }

// Request is a request as it is shown.
type Request struct {
	consent.Request
	State     consent.State
	Discounts []string // by vote: why it does not count now; empty: it does
	Counting  int
	Effect    string // what it does when it is executed, in a sentence
	Unread    string // why it cannot be read; empty: it can
}

// situation is what the state of all requests follows from.
type situation struct {
	now    time.Time // the later of the clock, and of what the clock guard has seen
	clock  lifecycle.Clock
	frozen string // why dates cannot be trusted; empty: they can
	who    *approvers
}

func (s Approvals) situation(ctx context.Context) (situation, error) {
	now := s.Now()
	clock, err := s.store.Settings.Clock(ctx)
	clock, frozen := clock.Watch(now)
	return situation{now: clock.High, clock: clock, frozen: frozen, who: s.approversNow()}, err
}

// tally is what the votes of a request come to now.
type tally struct {
	discounts []string // by vote: why it does not count; empty: it does
	who       []string // those who approve, and count
	ids       []string // the same, by entity
}

// stateOf derives the state of a request. Moved says whether what it is about has changed, as far as the caller knows.
func (s Approvals) stateOf(ctx context.Context, r consent.Request, at situation, moved bool) (consent.State, tally, error) {
	in := consent.Situation{Now: at.now, Clock: at.clock.Acknowledged, Moved: moved}
	var err error
	if in.Executed, err = s.store.Approvals.Executed(ctx, r); err != nil {
		return "", tally{}, err
	}
	votes, err := s.tally(ctx, r, at)
	in.Counting = len(votes.who)
	return r.StateIn(in), votes, err
}

// tally asks of each vote whether it counts now.
func (s Approvals) tally(ctx context.Context, r consent.Request, at situation) (t tally, err error) {
	if len(r.Votes) == 0 {
		return t, nil
	}
	for _, v := range r.Votes {
		_, why, err := at.who.eligible(ctx, r, v.Entity, at.now)
		if err != nil {
			return t, err
		}
		t.discounts = append(t.discounts, why)
		if v.Approve && why == "" {
			t.who = append(t.who, consent.Person{ID: v.Entity, Name: v.Name}.String())
			t.ids = append(t.ids, v.Entity)
		}
	}
	return t, nil
}

// moved reports whether what a request is about, or the policy whose rule it is, is not what was asked about.
func (s Approvals) moved(ctx context.Context, c consent.Content) (bool, error) {
	switch c.Subject.Scope {
	case acts.Key:
		k, err := s.data.Key(ctx, c.Subject.Name)
		if errors.Is(err, refusal.ErrNotFound) {
			return s.restoredElsewhere(ctx, c)
		}
		if err != nil || k.ID != c.Subject.KeyID || k.Revision != c.Revision {
			return true, err
		}
	case acts.Mount:
		settings, err := s.store.Approvers.ApprovalSettings(ctx)
		return settings.Revision != c.Revision, err
	}
	p, err := s.data.Policy(ctx, c.Policy.Name)
	if errors.Is(err, refusal.ErrNotFound) || errors.Is(err, refusal.ErrUnreadable) {
		return true, nil
	}
	return err != nil || p.Revision != c.Policy.Revision || p.Hash != c.Policy.Hash, err
}

// requestAt returns a request with its state, or refusal.ErrNotFound.
func (s Approvals) requestAt(ctx context.Context, id string, at situation) (consent.Request, consent.State, error) {
	r, err := s.store.Approvals.Request(ctx, id)
	if errors.Is(err, refusal.ErrUnreadable) {
		return r, consent.Unreadable, nil
	}
	if err != nil {
		return r, "", err
	}
	moved, err := s.moved(ctx, r.Content)
	if err != nil {
		return r, "", err
	}
	state, _, err := s.stateOf(ctx, r, at, moved)
	return r, state, err
}

// Read returns a request, or refusal.ErrNotFound. One that cannot be read is [consent.Unreadable], and nothing else is known of it.
func (s Approvals) Read(ctx context.Context, id string) (Request, error) {
	at, err := s.situation(ctx)
	if err != nil {
		return Request{}, err
	}
	r, err := s.store.Approvals.Request(ctx, id)
	switch {
	case errors.Is(err, refusal.ErrUnreadable):
		return Request{State: consent.Unreadable, Unread: err.Error()}, nil
	case err != nil:
		return Request{}, err
	}
	return s.view(ctx, r, at)
}

func (s Approvals) view(ctx context.Context, r consent.Request, at situation) (Request, error) {
	moved, err := s.moved(ctx, r.Content)
	if err != nil {
		return Request{}, err
	}
	state, votes, err := s.stateOf(ctx, r, at, moved)
	return Request{Request: r, State: state, Discounts: votes.discounts, Counting: len(votes.who), Effect: s.effect(ctx, r.Content, at.now)}, err
}

// IDs returns the ids of all requests that are kept, in alphabetical order.
func (s Approvals) IDs(ctx context.Context) ([]string, error) {
	return s.store.Approvals.RequestIDs(ctx)
}

// Vote counts the caller's consent to a request, or ends the request. A vote that is there already changes nothing, unless votes
// count again that did not, and are enough.
func (s Approvals) Vote(ctx context.Context, id string, approve bool, comment string) (Request, error) {
	act := acts.Approve
	if !approve {
		act = acts.Deny
	}
	return s.change(ctx, id, act, comment, func(r consent.Request, at situation) (consent.Request, error) {
		if v := r.Voter(s.store.Caller.Entity); v != nil && v.Approve == approve {
			return s.counted(ctx, r, at)
		}
		return s.voted(ctx, r, consent.Vote{Approve: approve, At: at.now, Comment: comment}, at)
	})
}

// voted is a request with one vote more.
func (s Approvals) voted(ctx context.Context, r consent.Request, v consent.Vote, at situation) (consent.Request, error) {
	p, why, err := at.who.eligible(ctx, r, s.store.Caller.Entity, at.now)
	switch {
	case err != nil:
		return r, err
	case why != "":
		return r, refusal.Refusedf("%s %s, and is not counted", p, why)
	}
	v.Entity, v.Name = p.ID, p.Name
	if r = r.Voted(v); !v.Approve {
		return r, nil
	}
	return s.counted(ctx, r, at)
}

// counted is a request as it is once its votes are counted: approved, if they are enough now.
func (s Approvals) counted(ctx context.Context, r consent.Request, at situation) (consent.Request, error) {
	if !r.Approved.IsZero() {
		return r, nil
	}
	votes, err := s.tally(ctx, r, at)
	if len(votes.who) >= r.Rule.Need {
		r.Approved = at.now
	}
	return r, err
}

// Withdraw ends a request of the caller's.
func (s Approvals) Withdraw(ctx context.Context, id, reason string) (Request, error) {
	return s.change(ctx, id, acts.Withdraw, reason, func(r consent.Request, at situation) (consent.Request, error) {
		if r.Content.Requester != s.store.Caller.Entity {
			return r, refusal.Refusedf("%s asked for it: nobody else withdraws it; deny it instead", consent.Person{ID: r.Content.Requester, Name: r.Requester})
		}
		r.Withdrawn, r.Closing = at.now, reason
		return r, nil
	})
}

// change does a step of a request that is open.
func (s Approvals) change(
	ctx context.Context, id string, act acts.Name, reason string, step func(consent.Request, situation) (consent.Request, error),
) (Request, error) {
	if s.store.Caller.Entity == "" {
		return Request{}, refusal.Refusedf("%s: a token without an entity cannot be told from others; log in", act)
	}
	at, err := s.situation(ctx)
	if err != nil {
		return Request{}, err
	}
	r, err := s.store.Approvals.Request(ctx, id)
	switch {
	case errors.Is(err, refusal.ErrUnreadable):
		return Request{}, refusal.Refusedf("%v: nothing can be done with it", err)
	case err != nil:
		return Request{}, err
	}
	event := consentEvent(act, r, reason)
	next, err := s.store.Approvals.ChangeRequest(ctx, id, r.Content.Subject, func(now *consent.Request) (consent.Request, lifecycle.Event, error) {
		if now == nil {
			return r, event, refusal.NotFoundf("approval not found: there is no request %q", id)
		}
		if again := ended(*now, act, s.store.Caller.Entity); again {
			return *now, event, nil
		}
		at.who = s.approversNow() // what is decided anew is asked anew
		next, err := s.changed(ctx, *now, act, at, step)
		return next, event, err
	})
	if err != nil {
		return Request{}, err
	}
	s.Log.Info("approval "+string(act), "request", id, "name", s.store.Caller.Name)
	return s.view(ctx, next, at)
}

// changed is a request after a step, if it is open.
func (s Approvals) changed(
	ctx context.Context, r consent.Request, act acts.Name, at situation, step func(consent.Request, situation) (consent.Request, error),
) (consent.Request, error) {
	view, err := s.view(ctx, r, at)
	switch {
	case err != nil:
		return r, err
	case view.State == consent.Pending, view.State == consent.Approved:
		return step(r, at)
	case view.State == consent.Executed && act == acts.Approve && consented(r, s.store.Caller.Entity):
		return r, nil // the vote comes again, and is one that the act has used
	default:
		return r, refusal.Refusedf("%s is %s: nothing can be done with it any more", r.ID(), view.State)
	}
}

// consented reports whether somebody has voted for a request.
func consented(r consent.Request, by string) bool {
	v := r.Voter(by)
	return v != nil && v.Approve
}

// ended reports that a request was ended by the caller in this way already.
func ended(r consent.Request, act acts.Name, by string) bool {
	switch act {
	case acts.Deny:
		v := r.Voter(by)
		return !r.Denied.IsZero() && v != nil && !v.Approve
	case acts.Withdraw:
		return !r.Withdrawn.IsZero() && r.Content.Requester == by
	default:
		return false
	}
}
