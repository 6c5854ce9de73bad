// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Func is work in a session that is logged in. What is known of handles is known for the epoch. Errors of the session are to
// be returned as they are, or wrapped: they decide what is done next.
type Func = func(s cryptoki.Session, epoch uint64) error

// Token is a mount's use of a token. It is safe for concurrent use.
type Token struct {
	registry *Registry
	module   *module
	pinHash  [32]byte
	search   flight // for the token

	config Config // PIN and Rewritten are guarded by the registry's lock

	mu       sync.Mutex
	attached *device // nil: not found yet
	closed   bool
	probe    Func
	missing  missing

	checks checks
}

// missing is kept where the probe did not find its key although the token works.
type missing struct {
	since    time.Time // zero: it was not missed
	failures int
	next     time.Time // no recovery for its sake before
	last     error
}

// Run calls f with a session that is logged in. Where the session, the login or the token is lost, it gets them back and calls
// f again: f must do no harm when it is done twice. f runs in a goroutine of its own, and must not call the token.
//
// Run returns nil once f has. It returns an error of the data as f did; so it does with an ambiguous one, once the probe has
// shown that the token works. Otherwise the error matches [hsm.ErrUnavailable], [hsm.ErrPINRejected] or
// [hsm.ErrMisconfigured], or is the context's. It returns before f does where a call of the library outlives its deadline,
// or ctx ends: variables that f writes must be read only after Run has returned nil.
func (t *Token) Run(ctx context.Context, f Func) error {
	return t.run(ctx, job{session: f})
}

// RunOnce is Run for what must not be done twice: f is not called again once it has made or destroyed an object, or may have.
func (t *Token) RunOnce(ctx context.Context, f Func) error {
	return t.run(ctx, job{session: f, once: true})
}

// Check runs the probe, and recovers the token if it must. Without a probe it sees that there is a session.
func (t *Token) Check(ctx context.Context) error {
	probe := t.probing()
	if probe == nil {
		probe = func(s cryptoki.Session, _ uint64) error {
			_, err := s.Random(1)
			return err
		}
	}
	err := t.Run(ctx, probe)
	if err == nil {
		t.found()
		if d := t.device(); d != nil {
			d.note(d.works)
		}
	}
	return err
}

// SetProbe sets the function that shows that the token works with the keys that it should have, or takes it away with nil. It
// must be a function of the session alone. An error that matches [hsm.ErrKEKMissing] says that a key was not found.
func (t *Token) SetProbe(probe Func) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.probe, t.missing = probe, missing{}
}

func (t *Token) probing() Func {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.probe
}

// Mechanisms returns what the token lists.
func (t *Token) Mechanisms(ctx context.Context) (list []cryptoki.MechanismType, err error) {
	err = t.run(ctx, job{library: func(k *task, l cryptoki.Library, slot uint) (any, error) {
		var list []cryptoki.MechanismType
		err := k.call(func() (err error) {
			list, err = l.Mechanisms(slot)
			return err
		})
		return list, err
	}, result: func(v any) { list = v.([]cryptoki.MechanismType) }})
	return list, err
}

// MechanismInfo returns what the token says of a mechanism.
func (t *Token) MechanismInfo(ctx context.Context, m cryptoki.MechanismType) (info cryptoki.MechanismInfo, err error) {
	err = t.run(ctx, job{library: func(k *task, l cryptoki.Library, slot uint) (any, error) {
		var info cryptoki.MechanismInfo
		err := k.call(func() (err error) {
			info, err = l.MechanismInfo(slot, m)
			return err
		})
		return info, err
	}, result: func(v any) { info = v.(cryptoki.MechanismInfo) }})
	return info, err
}

// Info returns what the token says of itself now.
func (t *Token) Info(ctx context.Context) (info cryptoki.Token, err error) {
	err = t.run(ctx, job{library: func(k *task, l cryptoki.Library, slot uint) (any, error) {
		var tokens []cryptoki.Token
		err := k.call(func() (err error) {
			tokens, err = l.Tokens()
			return err
		})
		for _, info := range tokens {
			if info.Slot == slot {
				return info, nil
			}
		}
		return nil, errors.Join(err, cryptoki.ErrTokenNotPresent)
	}, result: func(v any) { info = v.(cryptoki.Token) }})
	return info, err
}

// Close ends the use of the token. The last user of a token closes its sessions, which ends the login, and the last user of a
// library closes that. What hangs is left alone.
func (t *Token) Close() {
	t.mu.Lock()
	was := t.closed
	t.closed = true
	t.mu.Unlock()
	if was {
		return
	}
	t.checks.end()
	r, m := t.registry, t.module
	r.detach(t)
	r.mu.Lock()
	m.users--
	clear(t.config.PIN)
	r.mu.Unlock()
	users := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return m.users
	}
	if users() == 0 {
		k := newTask(r.clock, t.config.CallTimeout, m.hang)
		_, _ = launch(context.Background(), k, func() struct{} {
			m.unload(k, users)
			return struct{}{}
		})
	}
}

func (t *Token) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}
