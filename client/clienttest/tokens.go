// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clienttest

import (
	"crypto/rand"
	"net/http"
	"time"
)

// tokens are those that were given out and are not revoked.
type tokens struct {
	ttl       time.Duration // of those that a login gives
	maxTTL    time.Duration // from the login, which no renewal goes beyond; 0: none
	renewable bool
	refuse    bool
	valid     map[string]*token
}

type token struct {
	ttl       time.Duration // 0: it has no end
	renewable bool
	made      time.Time
	ends      time.Time
}

var invalidToken = refusal(http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")

// SetTokens says what tokens logins give from now on: how long they live (0: without end), and whether they can be renewed.
// At first they live a day and can.
func (f *FakeVault) SetTokens(ttl time.Duration, renewable bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens.ttl, f.tokens.renewable = ttl, renewable
}

// SetMaxTTL says how long after their login tokens end whatever their renewals (0: no such limit).
func (f *FakeVault) SetMaxTTL(ttl time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens.maxTTL = ttl
}

// RevokeTokens makes all tokens invalid that were given out so far, also those of clients.
func (f *FakeVault) RevokeTokens() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.tokens.valid)
}

// RefuseLogins makes logins fail with 400, as with a wrong secret, or succeed again.
func (f *FakeVault) RefuseLogins(refuse bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens.refuse = refuse
}

func (s *tokens) issue(ttl time.Duration, renewable bool) string {
	name, now := "hvs."+rand.Text(), time.Now()
	s.valid[name] = &token{ttl: ttl, renewable: renewable, made: now, ends: now.Add(ttl)}
	return name
}

func (s *tokens) live(name string) bool {
	t := s.valid[name]
	return t != nil && (t.ttl == 0 || time.Now().Before(t.ends))
}

func (s *tokens) answer(q asked) answer {
	if q.op == Login {
		if s.refuse {
			return refusal(http.StatusBadRequest, "invalid role or secret ID")
		}
		return s.auth(s.issue(s.ttl, s.renewable))
	}
	if !s.live(q.token) {
		return invalidToken
	}
	t := s.valid[q.token]
	if q.op == Lookup {
		return answer{status: http.StatusOK, data: map[string]any{
			"id": q.token, "ttl": t.left(), "creation_ttl": seconds(t.ttl), "renewable": t.renewable, "type": "service",
		}}
	}
	if !t.renewable {
		return refusal(http.StatusBadRequest, "lease is not renewable")
	}
	t.ends = time.Now().Add(t.ttl)
	if last := t.made.Add(s.maxTTL); s.maxTTL > 0 && t.ends.After(last) {
		t.ends = last
	}
	return s.auth(q.token)
}

func (s *tokens) auth(name string) answer {
	t := s.valid[name]
	return answer{status: http.StatusOK, auth: map[string]any{
		"client_token": name, "policies": []string{"default"}, "lease_duration": t.left(), "renewable": t.renewable,
		"token_type": "service", "mfa_requirement": nil,
	}}
}

// left is how long the token lives yet, in seconds.
func (t *token) left() int {
	if t.ttl == 0 {
		return 0
	}
	return seconds(time.Until(t.ends))
}

func seconds(d time.Duration) int { return int(d / time.Second) }
