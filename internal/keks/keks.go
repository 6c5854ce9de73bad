// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keks

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// Store keeps what is known of the mount's token. It is safe for concurrent use. After an error of a writing method the outcome
// is unknown until it is read again.
type Store interface {
	HSM(ctx context.Context) (keyring.HSM, error)
	// SetHSM and SetKEKs commit what change makes of the stored, with the event in custody. An event without an act is none.
	SetHSM(ctx context.Context, event lifecycle.Event, change func(keyring.HSM) (s tokens.Settings, configured bool, err error)) error
	SetKEKs(ctx context.Context, change func(keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error)) error
	// Repeated reports whether the request has done its act already.
	Repeated(ctx context.Context) (bool, error)
}

// Ring holds the use of the token, and the wrappers that change with what is done here.
type Ring interface {
	Token(stored keyring.HSM) (*tokens.Use, error)
	Try(s tokens.Settings) (attempt *tokens.Use, end func() error, err error)
	Forget()
	// Wraps returns how often keys wrapped since the counts were stored, which WrapsStored says of them.
	Wraps() map[[16]byte]uint64
	WrapsStored(counts map[[16]byte]uint64)
}

// Material is what keys wrap.
type Material interface {
	// References counts what is wrapped by a key; complete is false where not all was looked at.
	References(ctx context.Context, kek [16]byte) (n int, complete bool, err error)
	// BeginRewrap notes, before it is so, that another key is to wrap for a purpose, and that what is stored is to be wrapped
	// anew; a key of zeros is whichever wraps then.
	BeginRewrap(ctx context.Context, purpose string, kek [16]byte) error
	// Residents counts the keys whose versions are on the token, and what is on it that no version has any more.
	Residents(ctx context.Context) (keys, left int, err error)
}

// Config is what a [Manager] is made from.
type Config struct {
	Now  func() time.Time
	Rand io.Reader
	Log  hclog.Logger
	Host *tokens.Host
	Ring Ring

	MostWraps uint64 // how often a key wraps before the tick rotates it; 0: 2^31
}

// mostWraps is half of what SP 800-38D section 8.3 lets one key do with random IVs: counts that a crash loses, and the checks of a
// token, which encrypt too, have the other half.
const mostWraps = 1 << 31

// Manager manages the token of one mount. It is safe for concurrent use.
type Manager struct {
	Config
	turn chan struct{} // holds one act
	none atomic.Bool   // no token is configured, so that a tick need not read it
}

// New returns the manager of a mount.
func New(c Config) *Manager {
	if c.Host == nil {
		c.Host = &tokens.Host{}
	}
	c.MostWraps = cmp.Or(c.MostWraps, mostWraps)
	return &Manager{Config: c, turn: make(chan struct{}, 1)}
}

// Forget drops what is remembered, because another node wrote it.
func (m *Manager) Forget() { m.none.Store(false) }

// Storage is what one request needs of the mount.
type Storage struct {
	Tokens   Store
	Material Material
	// Instance returns the identity of the mount's data, which a mount without one gets.
	Instance func(ctx context.Context) (string, error)
	// Consent returns the event of an act with people's consent to it, where a rule asks for that; nil: none does.
	Consent func(ctx context.Context, gate acts.Gate, event lifecycle.Event) (lifecycle.Event, error)
	Log     hclog.Logger // of what is done during the request; nil: the manager's
}

// consented asks for consent to an act; nobody is asked for what changes nothing.
func (s Storage) consented(ctx context.Context, act acts.Name, event lifecycle.Event) (lifecycle.Event, error) {
	event.Act = string(act)
	row, _ := acts.Of(acts.Mount, act)
	if row.Gate == "" || s.Consent == nil || act == acts.ConfigureHSM && len(event.Details) == 0 {
		return event, nil
	}
	return s.Consent(ctx, row.Gate, event)
}

// Session is the manager during one request.
type Session struct {
	*Manager
	store Storage
	Log   hclog.Logger
}

// Session binds the manager to the storage of one request.
func (m *Manager) Session(s Storage) *Session {
	if s.Log == nil {
		s.Log = m.Log
	}
	return &Session{m, s, s.Log}
}

// begin waits for the turn of an act.
func (m *Manager) begin(ctx context.Context) (end func(), err error) {
	select {
	case m.turn <- struct{}{}:
		return func() { <-m.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Read returns what is stored of the token; refusal.ErrNotFound where none is configured.
func (s *Session) Read(ctx context.Context) (keyring.HSM, error) {
	h, err := s.store.Tokens.HSM(ctx)
	if err == nil && !h.Configured {
		err = noToken()
	}
	return h, err
}

func noToken() error { return refusal.NotFoundf("no HSM is configured: write config/hsm") }

// Status is what is stored of the token, and how it is.
type Status struct {
	keyring.HSM
	Health token.Health
}

// Status tells how the token is, without asking it.
func (s *Session) Status(ctx context.Context) (Status, error) {
	h, err := s.store.Tokens.HSM(ctx)
	if err != nil || !h.Configured {
		return Status{HSM: h}, err
	}
	use, err := s.Ring.Token(h)
	if err != nil {
		return Status{}, err
	}
	return Status{h, use.Health()}, nil
}

// find returns the key of an id.
func find(h keyring.HSM, id [16]byte) (*keyring.TokenKEK, error) {
	for i := range h.KEKs {
		if h.KEKs[i].ID == id {
			return &h.KEKs[i], nil
		}
	}
	return nil, refusal.NotFoundf("no key encryption key of the HSM has the id %x", id)
}

// outward makes of an error of the token what a caller is to know: whether to come again, or to change something first.
func outward(err error) error {
	for _, refused := range []error{
		hsm.ErrPINRejected, hsm.ErrMisconfigured, hsm.ErrNotBuilt, hsm.ErrUnsupported, hsm.ErrKEKMissing, hsm.ErrKEKMismatch,
	} {
		if errors.Is(err, refused) {
			return refusal.Refusedf("%v", err)
		}
	}
	if errors.Is(err, hsm.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return away{err}
	}
	return err
}

// away is an error of a token that cannot work at the moment. It says what the token said.
type away struct{ error }

func (a away) Is(target error) bool { return target == envelope.ErrUnavailable }
func (a away) Unwrap() error        { return a.error }

// KEK returns a key.
func (s *Session) KEK(ctx context.Context, id [16]byte) (keyring.TokenKEK, error) {
	h, err := s.store.Tokens.HSM(ctx)
	if err != nil {
		return keyring.TokenKEK{}, err
	}
	k, err := find(h, id)
	if err != nil {
		return keyring.TokenKEK{}, err
	}
	return *k, nil
}
