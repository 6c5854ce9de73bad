// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"context"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

var _ envelope.KeyWrapper = (*Wrapper)(nil)

// Wrapper is that of a purpose: it wraps with one key encryption key, and unwraps with each that the purpose has had. It is
// safe for concurrent use, and stays as it is: another one takes its place where keys change.
type Wrapper struct {
	active [16]byte
	all    map[[16]byte]envelope.KeyWrapper
}

func (w *Wrapper) add(id [16]byte, one envelope.KeyWrapper, active bool) {
	w.all[id] = one
	if active {
		w.active = id
	}
}

// Active is the key that wraps.
func (w *Wrapper) Active() [16]byte { return w.active }

// KEKIDOf returns the key that made wrapped, whether the purpose has it or not. The error matches [hsm.ErrCorrupt] where
// wrapped is in no known format.
func (w *Wrapper) KEKIDOf(wrapped []byte) ([16]byte, error) { return hsm.KEKIDOf(wrapped) }

// Hardware reports whether a hardware security module keeps the key that wraps.
func (w *Wrapper) Hardware() bool { return w.IsHardware(w.active) }

// IsHardware reports whether a hardware security module keeps a key of the purpose.
func (w *Wrapper) IsHardware(kek [16]byte) bool {
	h, ok := w.all[kek].(interface{ Hardware() bool })
	return ok && h.Hardware()
}

// AnyHardware reports whether a hardware security module keeps any of the keys.
func (w *Wrapper) AnyHardware() bool {
	for id := range w.all {
		if w.IsHardware(id) {
			return true
		}
	}
	return false
}

// Wrap is envelope.KeyWrapper's.
func (w *Wrapper) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	one, ok := w.all[w.active]
	if !ok {
		return nil, hsm.ErrKEKMissing
	}
	return one.Wrap(ctx, dek, aad)
}

// Unwrap is envelope.KeyWrapper's.
func (w *Wrapper) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	one := w.all[w.active]
	if len(w.all) > 1 {
		id, err := hsm.KEKIDOf(wrapped)
		if err != nil {
			return nil, err
		}
		known := false
		if one, known = w.all[id]; !known {
			return nil, fmt.Errorf("%w: %x", hsm.ErrKEKMissing, id)
		}
	}
	if one == nil {
		return nil, hsm.ErrKEKMissing
	}
	return one.Unwrap(ctx, wrapped, aad)
}
