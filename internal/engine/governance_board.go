// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// mostRules is how many rules the board names: those of the mount, then those of policies in alphabetical order.
const mostRules = 50

// Board works out what waits for people, once a tick. With no request, no review and no rule it costs two Lists; the first tick, and
// one after a change of a policy or of the settings about consent, reads the rules, too. The error is of what could not be read:
// of that the board says what was known before.
func (s Approvals) Board(ctx context.Context) (observe.Governance, error) {
	m := &s.governance
	m.running.Lock()
	defer m.running.Unlock()
	m.people.begin(s.store.Directory, s.Now())
	m.forgetAsked()
	with := *s.Session
	with.store.Directory = &m.people
	w := governanceWatch{Approvals{&with}, m}
	err := errors.Join(w.rules(ctx), w.open(ctx), w.drills(ctx))
	board := m.board()
	var rosterErr error
	board.Approvers, rosterErr = w.approvers(ctx)
	return board, errors.Join(err, rosterErr)
}

// governanceWatch looks at what waits for people, and has people and what it saw before from memory.
type governanceWatch struct {
	Approvals
	m *governanceMemory
}

// rules reads the rules of the mount and of all policies, where they may have changed.
func (w governanceWatch) rules(ctx context.Context) error {
	if w.m.upToDate.Swap(true) {
		return nil
	}
	err := w.readRules(ctx)
	if err != nil {
		w.m.upToDate.Store(false)
	}
	return err
}

func (w governanceWatch) readRules(ctx context.Context) error {
	settings, err := w.Approvers().Settings(ctx)
	if err != nil {
		return err
	}
	rules, err := w.Approvers().Rules(ctx, settings)
	if err != nil && !errors.Is(err, refusal.ErrUnreadable) { // such a policy has no rule that anybody can tell
		return err
	}
	drilled, err := w.Policies().WithDrills(ctx)
	if err != nil {
		return err
	}
	w.m.rules, w.m.drilled, w.m.drills = rules[:min(len(rules), mostRules)], drilled, drillRound{}
	return nil
}

// open looks at requests and reviews.
func (w governanceWatch) open(ctx context.Context) error {
	requests, err := w.IDs(ctx)
	if err != nil {
		return err
	}
	reviews, err := w.Reviews().IDs(ctx)
	if err != nil {
		return err
	}
	if len(requests)+len(reviews) == 0 {
		w.m.requests.seen, w.m.reviews.seen = nil, nil
		return nil
	}
	at, err := w.situation(ctx)
	if err != nil {
		return err
	}
	return errors.Join(
		w.m.requests.look(requests, func(r request) bool { return r.over }, func(id string) (request, error) { return w.request(ctx, id, at) }),
		w.m.reviews.look(reviews, func(r review) bool { return r.state == consent.Justified || r.state == consent.Rejected },
			func(id string) (review, error) { return w.review(ctx, id, at) }),
	)
}

func (w governanceWatch) request(ctx context.Context, id string, at situation) (request, error) {
	r, state, err := w.requestAt(ctx, id, at)
	over := state == consent.Executed || state == consent.Denied || state == consent.Withdrawn || state == consent.Expired
	if state == consent.Void { // until it would have expired: a policy that cannot be read may be read again
		over = !at.now.Before(laterOf(r.ApproveBy(), r.ExecuteBy()))
	}
	return request{state, r.Created, over}, err
}

func (w governanceWatch) review(ctx context.Context, id string, at situation) (review, error) {
	r, err := w.store.Reviews.Review(ctx, id)
	if err != nil {
		return review{}, err
	}
	if r.Verdict != "" {
		return review{r.Verdict, r.Due}, nil
	}
	state, err := w.Reviews().stateAt(ctx, r, at)
	return review{state, r.Due}, err
}

// drills looks at some of the keys under policies with drill_every.
func (w governanceWatch) drills(ctx context.Context) (err error) {
	r, now := &w.m.drills, w.Now()
	if len(w.m.drilled) == 0 {
		return nil
	}
	if r.ended() {
		if wait := r.again.Sub(now); wait > 0 && wait <= drillsHold { // more was set by a clock that was ahead
			return nil
		}
		r.policies, r.found, r.again = w.m.drilled, 0, now.Add(drillsHold)
	}
	lists := tickBindings
	for range tickDrills {
		p, name, ok, listErr := r.next(&lists, func(of string) ([]string, error) { return w.store.Policies.BoundKeys(ctx, of) })
		if err = errors.Join(err, listErr); !ok {
			break
		}
		k, readErr := w.data.KeyOfMany(ctx, name)
		switch {
		case errors.Is(readErr, refusal.ErrNotFound):
		case readErr != nil:
			err = errors.Join(err, readErr)
		case k.Policy == p.Name:
			r.found += countIf(overdue(drillDue(k, p), now))
		}
	}
	if r.ended() {
		r.overdue, r.whole = r.found, true
	}
	return err
}

func overdue(due, now time.Time) bool { return !due.IsZero() && now.After(due) }

// board puts together what is remembered.
func (m *governanceMemory) board() observe.Governance {
	g := observe.Governance{
		Approvals:     map[string]int{string(consent.Pending): 0, string(consent.Approved): 0},
		DrillsOverdue: m.drills.count(),
	}
	for r := range maps.Values(m.requests.seen) {
		if r.state != consent.Pending && r.state != consent.Approved {
			continue
		}
		g.Approvals[string(r.state)]++
		if r.state == consent.Pending {
			g.OldestPending = earlierOf(g.OldestPending, r.created)
		}
	}
	for r := range maps.Values(m.reviews.seen) {
		if r.state == consent.Open || r.state == consent.Overdue {
			g.Reviews++
			g.OldestReviewDue = earlierOf(g.OldestReviewDue, r.due)
		}
	}
	return g
}

// earlierOf returns the earlier time; zero is none.
func earlierOf(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// approvers counts, for each rule, who can consent. It says nothing until Vault was asked about everybody who has enrolled: a tick asks
// about a few.
func (w governanceWatch) approvers(ctx context.Context) (list []observe.Approvers, err error) {
	if len(w.m.rules) == 0 {
		return nil, nil
	}
	enrolled, err := w.store.Approvers.Enrolments(ctx)
	if err != nil {
		return nil, err
	}
	entities := make([]string, len(enrolled))
	for i, e := range enrolled {
		entities[i] = e.Entity
	}
	err = w.m.people.refresh(ctx, entities)
	roster, rosterErr := w.Approvers().Roster(ctx)
	if rosterErr != nil {
		if errors.Is(rosterErr, errLater) {
			rosterErr = nil
		}
		return nil, errors.Join(err, rosterErr)
	}
	for _, r := range w.m.rules {
		list = append(list, observe.Approvers{Rule: r.String(), Needed: r.Rule.Need, Able: len(roster.Able(r.Rule))})
	}
	return list, err
}
