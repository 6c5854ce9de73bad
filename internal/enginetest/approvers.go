// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"
	"maps"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Knows makes the directory know a person, in place of who had the id.
func (m *Mount) Knows(p consent.Person) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.identities[p.ID] = p
}

// Person is engine.Directory's.
func (m *Mount) Person(ctx context.Context, entity string) (consent.Person, error) {
	if err := m.called(ctx, "Person", entity); err != nil {
		return consent.Person{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p, known := m.identities[entity]
	if !known {
		return consent.Person{ID: entity, Gone: true}, nil
	}
	return p, nil
}

// approverStore is the enrolments, and the settings about consent.
type approverStore struct{ *Mount }

func (s approverStore) Enrolment(ctx context.Context, entity string) (consent.Enrolment, error) {
	if err := s.called(ctx, "Enrolment", entity); err != nil {
		return consent.Enrolment{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, enrolled := s.approvers[entity]
	if !enrolled {
		return e, refusal.ErrNotFound
	}
	return e, nil
}

func (s approverStore) Enrolments(ctx context.Context) ([]consent.Enrolment, error) {
	err := s.called(ctx, "Enrolments", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]consent.Enrolment, 0, len(s.approvers))
	for _, entity := range slices.Sorted(maps.Keys(s.approvers)) {
		all = append(all, s.approvers[entity])
	}
	return all, err
}

func (s approverStore) PutEnrolment(
	ctx context.Context, entity string, change func(current *consent.Enrolment) (consent.Enrolment, lifecycle.Event, error),
) (consent.Enrolment, error) {
	if err := s.called(ctx, "PutEnrolment", entity); err != nil {
		return consent.Enrolment{}, err
	}
	defer s.inAct()()
	var current *consent.Enrolment
	if e, enrolled := s.approvers[entity]; enrolled {
		current = &e
	}
	var next consent.Enrolment
	var event lifecycle.Event
	var err error
	s.within(func() { next, event, err = change(current) })
	if err != nil {
		return next, err
	}
	s.did(event)
	s.approvers[entity] = next
	return next, nil
}

func (s approverStore) DeleteEnrolment(ctx context.Context, entity string, event lifecycle.Event) error {
	if err := s.called(ctx, "DeleteEnrolment", entity); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, enrolled := s.approvers[entity]; !enrolled {
		return refusal.ErrNotFound
	}
	s.did(event)
	delete(s.approvers, entity)
	return nil
}

func (s approverStore) ApprovalSettings(ctx context.Context) (consent.Settings, error) {
	err := s.called(ctx, "ApprovalSettings", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.approvals, err
}

func (s approverStore) SetApprovalSettings(
	ctx context.Context, change func(consent.Settings) (consent.Settings, lifecycle.Event, error),
) (consent.Settings, error) {
	if err := s.called(ctx, "SetApprovalSettings", ""); err != nil {
		return consent.Settings{}, err
	}
	defer s.inAct()()
	var next consent.Settings
	var event lifecycle.Event
	var err error
	was := s.approvals
	s.within(func() { next, event, err = change(was) })
	next.Revision = s.approvals.Revision
	if err != nil || next.Same(s.approvals) {
		return next, err
	}
	s.did(event)
	next.Revision++
	s.approvals = next
	return next, nil
}

// did notes an act on the mount. The caller holds the lock.
func (m *Mount) did(e lifecycle.Event) {
	m.mustBeAct(acts.Mount, e)
	m.acts = append(m.acts, Done{Event: e})
}
