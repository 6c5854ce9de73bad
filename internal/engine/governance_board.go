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
	now := s.Now()
	m.people.begin(s.store.Directory, now)
	m.forgetAsked()
	err := errors.Join(s.watchRules(ctx, m), s.remembering(m).watchOpen(ctx, m), s.watchDrills(ctx, m, now))
	board := m.board()
	var rosterErr error
	board.Approvers, rosterErr = s.ableBy(ctx, m)
	return board, errors.Join(err, rosterErr)
}

// remembering is s, with people as they are remembered.
func (s Approvals) remembering(m *governanceMemory) Approvals {
	with := *s.Session
	with.store.Directory = &m.people
	return Approvals{&with}
}

// watchRules reads the rules of the mount and of all policies, where they may have changed.
func (s Approvals) watchRules(ctx context.Context, m *governanceMemory) error {
	if m.upToDate.Swap(true) {
		return nil
	}
	err := s.readRules(ctx, m)
	if err != nil {
		m.upToDate.Store(false)
	}
	return err
}

func (s Approvals) readRules(ctx context.Context, m *governanceMemory) error {
	settings, err := s.Approvers().Settings(ctx)
	if err != nil {
		return err
	}
	rules, err := s.Approvers().Rules(ctx, settings)
	if err != nil && !errors.Is(err, refusal.ErrUnreadable) { // such a policy has no rule that anybody can tell
		return err
	}
	drilled, err := s.Policies().WithDrills(ctx)
	if err != nil {
		return err
	}
	m.rules, m.drilled, m.drills = rules[:min(len(rules), mostRules)], drilled, drillRound{}
	return nil
}

// watchOpen looks at requests and reviews.
func (s Approvals) watchOpen(ctx context.Context, m *governanceMemory) error {
	requests, err := s.IDs(ctx)
	if err != nil {
		return err
	}
	reviews, err := s.Reviews().IDs(ctx)
	if err != nil {
		return err
	}
	if len(requests)+len(reviews) == 0 {
		m.requests.seen, m.reviews.seen = nil, nil
		return nil
	}
	at, err := s.situation(ctx)
	if err != nil {
		return err
	}
	return errors.Join(
		m.requests.look(requests, func(r request) bool { return r.over }, func(id string) (request, error) { return s.watchedRequest(ctx, id, at) }),
		m.reviews.look(reviews, func(r review) bool { return r.state == consent.Justified || r.state == consent.Rejected },
			func(id string) (review, error) { return s.watchedReview(ctx, id, at) }),
	)
}

func (s Approvals) watchedRequest(ctx context.Context, id string, at situation) (request, error) {
	r, state, err := s.requestAt(ctx, id, at)
	over := state == consent.Executed || state == consent.Denied || state == consent.Withdrawn || state == consent.Expired
	if state == consent.Void { // until it would have expired: a policy that cannot be read may be read again
		over = !at.now.Before(laterOf(r.ApproveBy(), r.ExecuteBy()))
	}
	return request{state, r.Created, over}, err
}

func (s Approvals) watchedReview(ctx context.Context, id string, at situation) (review, error) {
	r, err := s.store.Reviews.Review(ctx, id)
	if err != nil {
		return review{}, err
	}
	if r.Verdict != "" {
		return review{r.Verdict, r.Due}, nil
	}
	state, err := s.Reviews().stateAt(ctx, r, at)
	return review{state, r.Due}, err
}

// watchDrills looks at some of the keys under policies with drill_every.
func (s Approvals) watchDrills(ctx context.Context, m *governanceMemory, now time.Time) (err error) {
	r := &m.drills
	if len(m.drilled) == 0 {
		return nil
	}
	if r.ended() {
		if wait := r.again.Sub(now); wait > 0 && wait <= drillsHold { // more was set by a clock that was ahead
			return nil
		}
		r.policies, r.found, r.again = m.drilled, 0, now.Add(drillsHold)
	}
	lists := tickBindings
	for range tickDrills {
		p, name, ok, listErr := r.next(&lists, func(of string) ([]string, error) { return s.store.Policies.BoundKeys(ctx, of) })
		if err = errors.Join(err, listErr); !ok {
			break
		}
		k, readErr := s.data.KeyOfMany(ctx, name)
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

// ableBy counts, for each rule, who can consent. It says nothing until Vault was asked about everybody who has enrolled: a tick asks
// about a few.
func (s Approvals) ableBy(ctx context.Context, m *governanceMemory) (list []observe.Approvers, err error) {
	if len(m.rules) == 0 {
		return nil, nil
	}
	enrolled, err := s.store.Approvers.Enrolments(ctx)
	if err != nil {
		return nil, err
	}
	entities := make([]string, len(enrolled))
	for i, e := range enrolled {
		entities[i] = e.Entity
	}
	err = m.people.refresh(ctx, entities)
	roster, rosterErr := s.remembering(m).Approvers().Roster(ctx)
	if rosterErr != nil {
		if errors.Is(rosterErr, errLater) {
			rosterErr = nil
		}
		return nil, errors.Join(err, rosterErr)
	}
	for _, r := range m.rules {
		list = append(list, observe.Approvers{Rule: r.String(), Needed: r.Rule.Need, Able: len(roster.Able(r.Rule))})
	}
	return list, err
}
