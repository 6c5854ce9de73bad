// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"context"
	"fmt"
)

// KEKWrapper is a [KeyWrapper] that has more than one key encryption key: Wrap uses the active one, and Unwrap the one
// that the wrapped key names. What is asked for beside Wrap and Unwrap is answered from memory.
type KEKWrapper interface {
	KeyWrapper
	// Active returns the identifier of the key encryption key that Wrap uses.
	Active() [16]byte
	// KEKIDOf returns the identifier of the one that made wrapped, whether the wrapper has it or not. The error has a method
	// Corrupt() bool which returns true where wrapped is in no known format.
	KEKIDOf(wrapped []byte) ([16]byte, error)
}

// KEKOf returns the identifier of the key encryption key that wraps a blob, so that it can be told what is still to be
// wrapped anew. The blob is not opened. The error is [ErrCorrupt] where it is in no known format.
func KEKOf(w KEKWrapper, sealed []byte) ([16]byte, error) {
	parts, err := decodeBlob(sealed)
	if err != nil {
		return [16]byte{}, err
	}
	id, err := w.KEKIDOf(parts.wrapped)
	if err != nil {
		return [16]byte{}, unwrapError(err)
	}
	return id, nil
}

// Rewrap returns the blob that was sealed for b with its data encryption key wrapped anew: one Unwrap and one Wrap. What is
// sealed is neither opened nor changed, so the result opens to what the blob opens to. The error matches [ErrCorrupt] where
// the blob is damaged or was made for another binding, and [ErrWrap] where the wrapper wraps nothing at the moment.
func Rewrap(ctx context.Context, w KeyWrapper, sealed []byte, b Binding) ([]byte, error) {
	aad, err := b.innerAAD()
	if err != nil {
		return nil, err
	}
	parts, err := decodeBlob(sealed)
	if err != nil {
		return nil, err
	}
	dek, err := w.Unwrap(ctx, parts.wrapped, aad)
	if err != nil {
		return nil, unwrapError(err)
	}
	defer clear(dek)
	if len(dek) != dekSize {
		return nil, ErrCorrupt
	}
	if parts.wrapped, err = w.Wrap(ctx, dek, aad); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWrap, err)
	}
	return parts.encode()
}
