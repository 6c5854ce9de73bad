// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Asks makes somebody ask for what follows.
func (m *Mount) Asks(who engine.Caller) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.caller = who
}

// Asking returns who asks.
func (m *Mount) Asking() engine.Caller {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.caller
}

// approvalStore is the requests for consent.
type approvalStore struct{ *Mount }

func (s approvalStore) Request(ctx context.Context, id string) (consent.Request, error) {
	if err := s.called(ctx, "Request", id); err != nil {
		return consent.Request{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, found := s.requests[id]
	if !found {
		return r, refusal.NotFoundf("no request %q", id)
	}
	return r, nil
}

func (s approvalStore) RequestIDs(ctx context.Context) ([]string, error) {
	err := s.called(ctx, "RequestIDs", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.requests), err
}

func (s approvalStore) ChangeRequest(
	ctx context.Context, id string, about consent.Subject, change func(now *consent.Request) (consent.Request, lifecycle.Event, error),
) (consent.Request, error) {
	if about.Scope == acts.Key {
		defer s.lock(about.Name)()
	} else {
		s.acting.Lock()
		defer s.acting.Unlock()
	}
	if err := s.called(ctx, "ChangeRequest", id); err != nil {
		return consent.Request{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var now *consent.Request
	if r, found := s.requests[id]; found {
		now = &r
	}
	var next consent.Request
	var event lifecycle.Event
	var err error
	if s.within(func() { next, event, err = change(now) }); err != nil {
		return next, err
	}
	s.mustBeAct(acts.Request, event)
	s.requests[id] = next
	return next, nil
}

func (s approvalStore) DropRequest(ctx context.Context, id string) error {
	err := s.called(ctx, "DropRequest", id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, id)
	return err
}

func (s approvalStore) Executed(ctx context.Context, r consent.Request) (bool, error) {
	return r.Began > 0, s.called(ctx, "Executed", r.ID())
}

func (s approvalStore) Instance(ctx context.Context) (string, error) {
	return "an instance", s.called(ctx, "Instance", "")
}

// consented notes that an act used the consent that its event names. The caller holds the lock.
func (m *Mount) consented(e lifecycle.Event) {
	if e.Consent == "" {
		return
	}
	r, found := m.requests[e.Consent]
	if !found || r.Began > 0 {
		m.t.Errorf("%s: consent %s is not there, or was used", e.Act, e.Consent)
	}
	r.Began = len(m.acts) + 1
	m.requests[e.Consent] = r
}
