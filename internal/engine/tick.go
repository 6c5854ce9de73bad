// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// OneTick returns the same acts for one tick, which must not wait for a wrapper that is away once a key: once it was away, it
// is not asked again, and the check hsm_healthy probes it once.
func (a Acts) OneTick() Acts {
	s, data := *a.Session, *a.data
	data.Wrappers = &tickWrappers{WrapperSource: data.Wrappers}
	s.data = &data
	a.Session = &s
	return a
}

// tickWrappers are the wrappers during one tick. They are for one goroutine.
type tickWrappers struct {
	dataplane.WrapperSource
	away  error  // a call found that a wrapper is away
	probe *error // what hsm_healthy found; nil: it did not run
}

// Wrapper is dataplane.WrapperSource's.
func (t *tickWrappers) Wrapper(ctx context.Context, purpose string, create bool) (envelope.KeyWrapper, string, error) {
	if t.away != nil {
		return nil, "", t.away
	}
	w, instance, err := t.WrapperSource.Wrapper(ctx, purpose, create)
	if err = t.seen(ctx, err); err != nil {
		return nil, "", err
	}
	one := tickWrapper{w, t}
	if many, ok := w.(envelope.KEKWrapper); ok {
		return &tickKEKs{one, many}, instance, nil
	}
	return &one, instance, nil
}

// probed returns what the probe found, which is made once.
func (t *tickWrappers) probed(ctx context.Context, probe func(context.Context) error) error {
	if t.probe != nil {
		return *t.probe
	}
	err := probe(ctx)
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.probe = &err
	}
	return err
}

// seen remembers that a wrapper is away. A call that its caller gave up says nothing.
func (t *tickWrappers) seen(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, envelope.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", envelope.ErrUnavailable, err)
	}
	if errors.Is(err, envelope.ErrUnavailable) {
		t.away = err
	}
	return err
}

// tickWrapper is one of them.
type tickWrapper struct {
	envelope.KeyWrapper
	tick *tickWrappers
}

// Wrap is envelope.KeyWrapper's.
func (w *tickWrapper) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	if w.tick.away != nil {
		return nil, w.tick.away
	}
	wrapped, err := w.KeyWrapper.Wrap(ctx, dek, aad)
	return wrapped, w.tick.seen(ctx, err)
}

// Unwrap is envelope.KeyWrapper's.
func (w *tickWrapper) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	if w.tick.away != nil {
		return nil, w.tick.away
	}
	dek, err := w.KeyWrapper.Unwrap(ctx, wrapped, aad)
	return dek, w.tick.seen(ctx, err)
}

// Hardware reports whether the wrapper keeps its key in a hardware security module.
func (w *tickWrapper) Hardware() bool {
	h, ok := w.KeyWrapper.(hardware)
	return ok && h.Hardware()
}

// tickKEKs is one that has more than one key encryption key.
type tickKEKs struct {
	tickWrapper
	many envelope.KEKWrapper
}

// Active is envelope.KEKWrapper's.
func (w *tickKEKs) Active() [16]byte { return w.many.Active() }

// KEKIDOf is envelope.KEKWrapper's.
func (w *tickKEKs) KEKIDOf(wrapped []byte) ([16]byte, error) { return w.many.KEKIDOf(wrapped) }

// IsHardware is kekHardware's.
func (w *tickKEKs) IsHardware(kek [16]byte) bool {
	all, ok := w.many.(kekHardware)
	return ok && all.IsHardware(kek)
}
