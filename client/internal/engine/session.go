// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

const (
	loginTimeout = 10 * time.Second // of a login, which may be more than one request
	loginPause   = 10 * time.Second // between logins that do not help
)

// session has the token. Its mutex is held over no request.
type session struct {
	vault   *api.Client    // without a token
	auth    api.AuthMethod // nil: the token of own
	own     *api.Client    // the caller's
	observe func(ctx context.Context, key, op string) func(error)
	random  func() float64

	life    context.Context // ends by close
	end     context.CancelFunc
	work    sync.WaitGroup
	changed chan struct{} // holds a note that there is another token

	mu        sync.Mutex
	closed    bool
	keeping   bool
	current   *token
	login     *login               // under way
	refused   error                // of the last login, if Vault refused it
	refusedAt time.Time            //
	relogins  map[string]time.Time // after a refusal, by key
}

// token is one that is used. It does not change.
type token struct {
	vault     *api.Client // sends with it; one for each login
	ttl       time.Duration
	asked     time.Duration // the lifetime that the login gave
	renewable bool
	since     time.Time // the start of the request that gave ttl
	due       time.Time // when to renew it or to log in again; zero: never
}

// login is a single flight: whoever needs a token waits for it.
type login struct {
	done  chan struct{}
	token *token
	err   error
}

func newSession(o Options, agent string) (*session, error) {
	vault, err := o.Vault.CloneWithHeaders()
	if err != nil {
		return nil, fmt.Errorf("clone the client of Vault: %w", err)
	}
	vault.ClearToken()
	vault.SetMaxRetries(0)
	headers := vault.Headers()
	headers.Set("User-Agent", agent)
	vault.SetHeaders(headers)
	s := &session{
		vault: vault, auth: o.Auth, own: o.Vault, observe: o.Observe, random: o.Random,
		changed: make(chan struct{}, 1), relogins: map[string]time.Time{},
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// token returns the token there is, or logs in.
func (s *session) token(ctx context.Context) (*token, error) {
	s.mu.Lock()
	if t := s.current; t != nil && !s.closed {
		s.mu.Unlock()
		return t, nil
	}
	s.mu.Unlock()
	return s.another(ctx, nil)
}

// afterRefusal returns a token in place of one that was refused for a key. Without token and error there is none that would
// say another thing, and the refusal stands.
func (s *session) afterRefusal(ctx context.Context, refused *token, key string) (*token, error) {
	s.mu.Lock()
	last, tried := s.relogins[key]
	same := s.current != nil && s.current.vault == refused.vault
	s.mu.Unlock()
	if same && (tried && time.Since(last) < loginPause || s.auth == nil && s.own.Token() == refused.vault.Token()) {
		return nil, nil //nolint:nilnil // the refusal stands
	}
	t, err := s.another(ctx, refused)
	if same && (err == nil || errors.Is(err, refusal.ErrAccessDenied)) { // an outage tells nothing of the key
		s.mu.Lock()
		s.relogins[key] = time.Now()
		s.mu.Unlock()
	}
	return t, err
}

// another returns a token that is not the old one. It joins the login under way, or begins one.
func (s *session) another(ctx context.Context, old *token) (*token, error) {
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return nil, refusal.ErrClosed
	case s.current != nil && (old == nil || s.current.vault != old.vault):
		defer s.mu.Unlock()
		return s.current, nil
	case s.refused != nil && time.Since(s.refusedAt) < loginPause:
		defer s.mu.Unlock()
		return nil, s.refused
	}
	l := s.login
	if l == nil {
		l = &login{done: make(chan struct{})}
		s.login = l
		s.work.Go(func() { s.land(l) })
	}
	s.mu.Unlock()
	select {
	case <-l.done:
		return l.token, l.err
	case <-ctx.Done():
		return nil, interrupted(ctx)
	}
}

// interrupted is the error of a caller that does not wait for a login any longer.
func interrupted(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("login: %w", context.Cause(ctx))
	}
	return verdict{text: ctx.Err().Error(), cause: ctx.Err()}.error("login")
}

// land logs in and tells those who wait.
func (s *session) land(l *login) {
	ctx, cancel := context.WithTimeout(s.life, loginTimeout)
	defer cancel()
	ended := s.observe(ctx, "", "login")
	l.token, l.err = s.logIn(ctx)
	ended(l.err)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(l.done)
	s.login, s.refused = nil, nil
	switch {
	case s.closed:
		l.token, l.err = nil, refusal.ErrClosed
	case errors.Is(l.err, refusal.ErrAccessDenied):
		s.refused, s.refusedAt = l.err, time.Now()
	case l.err == nil:
		s.adopt(l.token)
	}
}

// adopt makes a token the current one, and the first one sets the keeper going. The mutex is held.
func (s *session) adopt(t *token) {
	s.current = t
	if !s.keeping {
		s.keeping = true
		s.work.Go(s.keep)
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *session) logIn(ctx context.Context) (*token, error) {
	vault, err := s.vault.CloneWithHeaders()
	if err != nil {
		return nil, fmt.Errorf("clone the client of Vault: %w", err)
	}
	vault.ClearToken() // that of the environment
	vault.SetClientTimeout(attemptTimeout)
	start := time.Now()
	var secret *api.Secret
	if s.auth != nil {
		secret, err = s.auth.Login(ctx, vault)
	} else {
		secret, err = Lookup(ctx, vault, s.own.Token())
	}
	if err != nil {
		return nil, verdictOf(err, nil).error("login")
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return nil, verdict{text: "vault answered no token"}.error("login")
	}
	vault.SetToken(secret.Auth.ClientToken)
	vault.SetClientTimeout(0) // it would end an answer before it is read
	ttl := lifetime(secret)
	return s.dated(token{vault: vault, ttl: ttl, asked: ttl, renewable: secret.Auth.Renewable, since: start}), nil
}

func lifetime(s *api.Secret) time.Duration { return time.Duration(s.Auth.LeaseDuration) * time.Second }

// Lookup is a login by a token that is there: it tells how long the token lives. A token that may not look itself up is
// taken as one without end.
func Lookup(ctx context.Context, vault *api.Client, token string) (*api.Secret, error) {
	if token == "" {
		return nil, &api.ResponseError{StatusCode: http.StatusForbidden, Errors: []string{"there is no token"}}
	}
	vault.SetToken(token)
	auth := &api.SecretAuth{ClientToken: token}
	s, err := vault.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil {
		if verdictOf(err, nil).kind == unavailable {
			return nil, err
		}
		return &api.Secret{Auth: auth}, nil
	}
	ttl, err := s.TokenTTL()
	if err == nil {
		auth.Renewable, err = s.TokenIsRenewable()
	}
	if err != nil {
		return nil, errors.New("vault answered what cannot be read")
	}
	auth.LeaseDuration = int(ttl / time.Second)
	return &api.Secret{Auth: auth}, nil
}

// close ends the session and waits for what it does.
func (s *session) close() {
	s.mu.Lock()
	s.closed, s.current = true, nil
	s.mu.Unlock()
	s.end()
	s.work.Wait()
}
