// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// Health tells how the wrappers fare, as the last call of one of them had it.
type Health struct {
	Since time.Time // since when no call got through; zero: the last one did, or none was made yet
	Err   error     // why the last one did not
}

// monitor remembers how the calls of wrappers ended.
type monitor struct {
	now func() time.Time

	mu      sync.Mutex
	last    Health
	probing bool // a call is under way that finds out whether the wrapper is back
}

func (m *monitor) get() Health {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// note remembers how a call ended. What a wrapper refuses shows that it works.
func (m *monitor) note(err error) {
	away := errors.Is(err, envelope.ErrUnavailable)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !away:
		m.last = Health{}
	case m.last.Since.IsZero():
		m.last = Health{Since: m.now(), Err: err}
	default:
		m.last.Err = err
	}
}

// watched is a wrapper whose calls are watched. What holds of the wrapper beside its two methods holds of it, too.
type watched struct {
	envelope.KeyWrapper
	gate
	kek [16]byte
}

// gate is what calls of a token, or of a wrapper in software, go through.
type gate struct {
	health *monitor    // nil: that of another wrapper counts
	use    *tokens.Use // nil: no token is needed
	hsm    *observe.HSM
	now    func() time.Time
}

// Wrap is envelope.KeyWrapper's.
func (w *watched) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	var wrapped []byte
	err := w.call(ctx, &w.hsm.Wrap, func() (err error) {
		wrapped, err = w.KeyWrapper.Wrap(ctx, dek, aad)
		return err
	})
	return wrapped, w.named(err)
}

// Unwrap is envelope.KeyWrapper's.
func (w *watched) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	var dek []byte
	err := w.call(ctx, &w.hsm.Unwrap, func() (err error) {
		dek, err = w.KeyWrapper.Unwrap(ctx, wrapped, aad)
		return err
	})
	return dek, w.named(err)
}

// call does a call that is let through, and notes how it ended.
func (g gate) call(ctx context.Context, of *observe.Call, do func() error) error {
	leave, err := g.enter()
	if err != nil {
		return err
	}
	defer leave()
	return g.seen(ctx, g.timed(ctx, of, do))
}

// timed measures a call of a token. What the token refuses shows that it works, unless it lacks a key that it should have.
func (g gate) timed(ctx context.Context, of *observe.Call, do func() error) error {
	if g.use == nil {
		return do()
	}
	began := g.now()
	err := do()
	failed := err
	if !isAway(err) && !errors.Is(err, hsm.ErrKEKMissing) && !errors.Is(err, hsm.ErrKEKMismatch) {
		failed = nil
	}
	of.Ended(ctx, g.now().Sub(began), failed)
	return err
}

// enter lets a call through, unless the token is known to be away: checks find out when it is back. Where it was away for the
// last call, and is not known to be well, one call at a time finds out.
func (g gate) enter() (leave func(), err error) {
	if g.use == nil {
		return func() {}, nil
	}
	if err := g.use.Away(); err != nil {
		return nil, unavailable{err}
	}
	if g.use.Health().State == token.Healthy {
		return func() {}, nil
	}
	return g.health.probe()
}

// probe lets one call at a time through after one that did not get through.
func (m *monitor) probe() (leave func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.last.Since.IsZero():
		return func() {}, nil
	case m.probing:
		return nil, m.last.Err
	}
	m.probing = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.probing = false
	}, nil
}

// away is the error that probe would answer, or nil.
func (m *monitor) away() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last.Since.IsZero() || !m.probing {
		return nil
	}
	return m.last.Err
}

// Away says why the token is known to be away, so that nobody needs to ask it; nil: it may be asked, or none is in use.
func (k *Keyring) Away() error {
	use := k.inUse()
	if use == nil {
		return nil
	}
	if err := use.Away(); err != nil {
		return unavailable{err}
	}
	if use.Health().State == token.Healthy {
		return nil
	}
	return k.health.away()
}

// Up reports whether the mount's token works, as far as its last call tells; inUse: there is one.
func (k *Keyring) Up() (up, inUse bool) { return !k.Suspect(), k.inUse() != nil }

// Suspect reports that the token was away for the last call, and was not seen to work since.
func (k *Keyring) Suspect() bool {
	use := k.inUse()
	if use == nil {
		return false
	}
	return use.Away() != nil || use.Health().State != token.Healthy && !k.health.get().Since.IsZero()
}

func (k *Keyring) inUse() *tokens.Use {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.use
}

// Hardware reports whether the wrapper keeps its key in a hardware security module.
func (w *watched) Hardware() bool {
	h, ok := w.KeyWrapper.(interface{ Hardware() bool })
	return ok && h.Hardware()
}

// seen notes how a call ended. A caller that gave up says nothing of the wrapper.
func (g gate) seen(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	if isAway(err) {
		err = unavailable{err}
	}
	if g.health != nil {
		g.health.note(err)
	}
	return err
}

// named says which key encryption key is missing on the token, or is another one there.
func (w *watched) named(err error) error {
	if w.use != nil && (errors.Is(err, hsm.ErrKEKMissing) || errors.Is(err, hsm.ErrKEKMismatch)) {
		return fmt.Errorf("%w: see hsm/keks for key encryption key %x, and hsm/status", err, w.kek)
	}
	return err
}

// isAway reports an error that says nothing of what was to be wrapped or unwrapped: the same call succeeds once the token, or
// its configuration, is put right.
func isAway(err error) bool {
	for _, away := range []error{hsm.ErrUnavailable, hsm.ErrPINRejected, hsm.ErrMisconfigured, hsm.ErrNotBuilt, context.DeadlineExceeded} {
		if errors.Is(err, away) {
			return true
		}
	}
	return false
}

// unavailable is an error of a wrapper that is away. It says what the wrapper said.
type unavailable struct{ error }

func (u unavailable) Is(target error) bool { return target == envelope.ErrUnavailable }
func (u unavailable) Unwrap() error        { return u.error }
