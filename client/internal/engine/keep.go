// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

const (
	firstPause  = 100 * time.Millisecond // after an outage; doubles
	longestWait = 10 * time.Second
)

// dated sets when a token is to be prolonged: at 2/3 of its lifetime, 10 % more or less.
func (s *session) dated(t token) *token {
	if t.ttl > 0 && (t.renewable || s.auth != nil) {
		t.due = t.since.Add(time.Duration(float64(t.ttl) * 2 / 3 * (0.9 + 0.2*s.random())))
	}
	return &t
}

// keep keeps the token alive until the session is closed. What Vault refuses is not tried again: a request whose token is
// refused logs in.
func (s *session) keep() {
	var t *token
	var due time.Time
	failures := 0
	for {
		if now := s.peek(); now != t {
			if now == nil {
				return
			}
			t, due, failures = now, now.due, 0
		}
		if !s.waitUntil(due) {
			if s.life.Err() != nil {
				return
			}
			continue
		}
		switch err := s.prolong(t); {
		case errors.Is(err, refusal.ErrUnavailable):
			due = s.next(t, failures, RetryAfter(err))
			failures++
		default:
			due = time.Time{}
		}
	}
}

func (s *session) peek() *token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// waitUntil waits for a time, for ever where it is zero. It returns false where the token changed or the session ended.
func (s *session) waitUntil(due time.Time) bool {
	var ring <-chan time.Time
	if !due.IsZero() {
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		ring = timer.C
	}
	select {
	case <-ring:
		return true
	case <-s.changed:
	case <-s.life.Done():
	}
	return false
}

// next is when to try again after so many failures, and at the latest when renewal is given up.
func (s *session) next(t *token, failures int, after time.Duration) time.Time {
	pause := min(firstPause<<min(failures, 10), longestWait)
	due := time.Now().Add(max(time.Duration(s.random()*float64(pause)), after))
	if giveUp := t.giveUp(); time.Now().Before(giveUp) && due.After(giveUp) {
		return giveUp
	}
	return due
}

// giveUp is when a token that could not be renewed is replaced.
func (t *token) giveUp() time.Time { return t.since.Add(t.ttl / 10 * 9) }

// prolong renews a token, or logs in where that is not enough.
func (s *session) prolong(t *token) error {
	if t.renewable && (s.auth == nil || time.Now().Before(t.giveUp())) {
		renewed, err := s.renew(t)
		switch {
		case errors.Is(err, refusal.ErrUnavailable) || s.auth == nil && err != nil:
			return err
		case err == nil && (s.auth == nil || renewed.ttl >= t.asked/2):
			s.replace(t, renewed)
			return nil
		}
	}
	_, err := s.another(s.life, t)
	return err
}

func (s *session) renew(t *token) (*token, error) {
	ctx, cancel := context.WithTimeout(s.life, attemptTimeout)
	defer cancel()
	ended := s.observe(ctx, "", "renew")
	start := time.Now()
	secret, err := t.vault.Auth().Token().RenewSelfWithContext(ctx, 0)
	switch {
	case err != nil:
		err = verdictOf(err, nil).error("renewal of the token")
	case secret == nil || secret.Auth == nil:
		err = verdict{text: "vault answered what cannot be read"}.error("renewal of the token")
	}
	ended(err)
	if err != nil {
		return nil, err
	}
	next := *t
	next.ttl, next.renewable, next.since, next.due = lifetime(secret), secret.Auth.Renewable, start, time.Time{}
	return s.dated(next), nil
}

// replace puts a renewed token in place of what it was, if that is still in use.
func (s *session) replace(t, renewed *token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == t {
		s.current = renewed
	}
}
