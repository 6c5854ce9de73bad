// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// unwraps are wrappers that note whether a hardware security module has unwrapped something.
type unwraps struct {
	WrapperSource
	hardware *bool
}

// Wrapper is [WrapperSource]'s.
func (u *unwraps) Wrapper(ctx context.Context, purpose string, create bool) (envelope.KeyWrapper, string, error) {
	w, instance, err := u.WrapperSource.Wrapper(ctx, purpose, create)
	return unwrapping{w, u.hardware}, instance, err
}

type unwrapping struct {
	envelope.KeyWrapper
	hardware *bool
}

// Unwrap is envelope.KeyWrapper's.
func (u unwrapping) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	*u.hardware = isHardware(u.KeyWrapper, wrapped)
	return u.KeyWrapper.Unwrap(ctx, wrapped, aad)
}

// isHardware reports whether a hardware security module keeps the key encryption key that made wrapped.
func isHardware(w envelope.KeyWrapper, wrapped []byte) bool {
	if many, ok := w.(interface {
		envelope.KEKWrapper
		IsHardware(kek [16]byte) bool
	}); ok {
		kek, err := many.KEKIDOf(wrapped)
		return err == nil && many.IsHardware(kek)
	}
	one, ok := w.(interface{ Hardware() bool })
	return ok && one.Hardware()
}
