// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Config is what an [Engine] is made from.
type Config struct {
	Now   func() time.Time
	Rand  io.Reader
	Log   hclog.Logger
	Plane *dataplane.Plane // whose snapshots an act makes stale

	Observe *observe.Observer // nil: one that nobody asks
}

// Engine acts on the keys and policies of one mount. It is safe for concurrent use.
type Engine struct{ Config }

// New returns an engine.
func New(c Config) *Engine {
	c.Observe = c.Observe.OrNew()
	declare(c.Observe)
	return &Engine{c}
}

// Session is the engine during one request. Its acts are grouped by what they are about.
type Session struct {
	*Engine
	store Storage
	data  *dataplane.Session
	made  materialSource // nil: the material of new versions is made here
}

// Session binds the engine to the storage of one request, and to the data plane during it.
func (e *Engine) Session(s Storage, data *dataplane.Session) *Session {
	return &Session{Engine: e, store: s, data: data}
}

// Keys returns what is done with whole keys.
func (s *Session) Keys() Keys { return Keys{s} }

// Transfers returns what is done with keys on their way in and out.
func (s *Session) Transfers() Transfers { return Transfers{s.Keys()} }

// PublicHalves returns what is no secret about keys of two halves.
func (s *Session) PublicHalves() PublicHalves { return PublicHalves{s} }

// Versions returns what is done with versions, and the changes of state.
func (s *Session) Versions() Versions { return Versions{s} }

// Policies returns what is done with policies.
func (s *Session) Policies() Policies { return Policies{s} }

// Settings returns those of the mount.
func (s *Session) Settings() Settings { return Settings{s} }

// Wrapping returns what is about the key encryption keys that stored material is wrapped with.
func (s *Session) Wrapping() Wrapping { return Wrapping{s} }

// Acts returns what acts on keys have in common, on behalf of the request's caller.
func (s *Session) Acts() Acts { return Acts{s, s.store.Keys} }

// SystemActs returns the same on nobody's behalf.
func (s *Session) SystemActs() Acts { return Acts{s, s.store.System} }

// errPanic is all that a caller learns of a panic.
var errPanic = errors.New("internal error; the server log has details")

// Guard keeps a panic of do inside: in a plugin it would end the process, and with it every mount that shares it. The
// panic's value is not logged, it may hold what a caller sent; the stack holds code positions only.
func (e *Engine) Guard(where string, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.Log.Error("panic", "where", where, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return do()
}

// demanded returns the policy of a key for what only it can allow. The error is a refusal where it says nothing.
func (s *Session) demanded(ctx context.Context, k *lifecycle.Key) (*policy.Policy, error) {
	p, err := s.data.Ruling(ctx, k)
	if errors.Is(err, refusal.ErrUnreadable) {
		return nil, refusal.Refusedf("%v", err)
	}
	return p, err
}
