// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Wrapper wraps with a key encryption key on a token. It is safe for concurrent use if its source of randomness is.
//
// Once the key was found in an epoch of the token, a wrap and an unwrap are one call of the token each; with
// [SuiteCBC] they are two, with [SuiteOAEP] one and two. IVs are random, so one key should wrap no more than 2^32 secrets
// (NIST SP 800-38D section 8.3).
type Wrapper struct {
	// A function, for the reason that Software gives: fmt does not see what it holds.
	key func() *tokenKey
}

// NewWrapper returns the wrapper of a key that [Create] or [Adopt] returned. IVs are drawn from rand, which must not wait
// for a session of the token's while a caller holds one. Nothing is asked of the token before it is needed.
func NewWrapper(t Token, k KEK, rand io.Reader) (*Wrapper, error) {
	if _, known := shapes[k.Suite]; !known {
		return nil, fmt.Errorf("new wrapper: %w: %v", ErrUnsupported, k.Suite)
	}
	if !k.isMade() {
		return nil, fmt.Errorf("new wrapper: %w: key %x was not made to its end", ErrKEKMissing, k.ID)
	}
	key := newTokenKey(t, k, rand)
	return &Wrapper{func() *tokenKey { return key }}, nil
}

// KEKID returns the identifier of the key encryption key.
func (w *Wrapper) KEKID() [16]byte { return w.key().kek.ID }

// Hardware reports that the key is kept by a token.
func (w *Wrapper) Hardware() bool { return true }

// Wrap encrypts the secret dek, of 1 to 4096 bytes, and binds it to aad. [SuiteOAEP] takes less: what fits its modulus.
func (w *Wrapper) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkSizes(dek, aad); err != nil {
		return nil, err
	}
	return w.key().wrap(ctx, dek, aad)
}

func (k *tokenKey) wrap(ctx context.Context, secret, aad []byte) ([]byte, error) {
	chance, err := k.draw(k.rand)
	if err != nil {
		return nil, err
	}
	outer := k.outer(aad)
	return k.run(ctx, secret, func(s cryptoki.Session, h handles, secret []byte) ([]byte, error) {
		sealed, err := k.seal(s, h, secret, outer, chance)
		if err != nil {
			return nil, err
		}
		sealed.kekID = k.kek.ID
		return sealed.encode(), nil
	})
}

// Unwrap returns the secret in wrapped, in a buffer for the caller to wipe. The error matches
// [ErrKEKMissing] if wrapped names another key, and [ErrCorrupt] if it does not open under aad.
func (w *Wrapper) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e, err := decode(wrapped)
	if err != nil {
		return nil, err
	}
	k := w.key()
	if e.kekID != k.kek.ID {
		return nil, fmt.Errorf("%w: %x", ErrKEKMissing, e.kekID)
	}
	if e.suite != k.suite || len(aad) > maxAAD {
		return nil, ErrCorrupt
	}
	secret, err := k.unwrap(ctx, e.clone(), k.outer(aad))
	if errors.Is(err, ErrCorrupt) {
		return nil, ErrCorrupt
	}
	return secret, err
}

// unwrap opens w.
func (k *tokenKey) unwrap(ctx context.Context, w wrapping, outer []byte) ([]byte, error) {
	return k.opened(ctx, func(s cryptoki.Session, h handles, _ []byte) ([]byte, error) { return k.open(s, h, w, outer) })
}

// Check finds the key anew, encrypts and decrypts with it, and opens its canary. The error matches [ErrKEKMissing] or
// [ErrKEKMismatch] where the token works and does not hold the key.
func (w *Wrapper) Check(ctx context.Context) error {
	k := w.key()
	if err := k.verify(ctx); err != nil {
		return fmt.Errorf("check key encryption key %x: %w", k.kek.ID, err)
	}
	return nil
}

// Probe is [Wrapper.Check] in a session. The token is to tell by it whether it is well: an error of the token's own comes
// from one that is not, [ErrKEKMissing] and [ErrKEKMismatch] from one that does not hold the key.
func (w *Wrapper) Probe(s cryptoki.Session, epoch uint64) error {
	k := w.key()
	exercise, err := k.exercise()
	if err != nil {
		return err
	}
	return k.verifyIn(s, epoch, exercise)
}

// String names the wrapper by the identifier of its key.
func (w *Wrapper) String() string {
	id := w.KEKID()
	return "token wrapper " + hex.EncodeToString(id[:])
}

// GoString returns what [Wrapper.String] does.
func (w *Wrapper) GoString() string { return w.String() }

// Format prints what [Wrapper.String] returns for every verb.
func (w *Wrapper) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, w.String()) }
