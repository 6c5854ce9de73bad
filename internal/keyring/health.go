// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// Health tells how the wrappers fare, as the last call of one of them had it.
type Health struct {
	Since time.Time // since when no call got through; zero: the last one did, or none was made yet
	Err   error     // why the last one did not
}

// monitor remembers how the calls of wrappers ended.
type monitor struct {
	now func() time.Time

	mu   sync.Mutex
	last Health
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
	health *monitor // nil: that of another wrapper counts
}

// Wrap is envelope.KeyWrapper's.
func (w *watched) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	wrapped, err := w.KeyWrapper.Wrap(ctx, dek, aad)
	return wrapped, w.seen(ctx, err)
}

// Unwrap is envelope.KeyWrapper's.
func (w *watched) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	dek, err := w.KeyWrapper.Unwrap(ctx, wrapped, aad)
	return dek, w.seen(ctx, err)
}

// Hardware reports whether the wrapper keeps its key in a hardware security module.
func (w *watched) Hardware() bool {
	h, ok := w.KeyWrapper.(interface{ Hardware() bool })
	return ok && h.Hardware()
}

// seen notes how a call ended. A caller that gave up says nothing of the wrapper.
func (w *watched) seen(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return err
	case isAway(err):
		err = unavailable{err}
	}
	if w.health != nil {
		w.health.note(err)
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
