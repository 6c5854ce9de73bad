// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"context"
	"errors"
	"io"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// Random returns where the random bytes of new material come from, for a purpose, during one request. A mount that has no keys yet
// has no token either. An error of the reader that says that the token is away matches envelope.ErrUnavailable.
func (k *Keyring) Random(ctx context.Context, s Store, purpose string) (io.Reader, error) {
	ring, err := k.ring(ctx, s)
	switch {
	case errors.Is(err, hsm.ErrKEKMissing):
		return k.Rand, nil
	case err != nil:
		return nil, err
	case ring.random == nil:
		return k.Rand, nil
	}
	return awayReader{ring.random.Reader(ctx, purpose)}, nil
}

// awayReader says of a token that it is away as wrappers do.
type awayReader struct{ io.Reader }

func (r awayReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && isAway(err) {
		err = unavailable{err}
	}
	return n, err
}

// RandomFallbacks tells how often the operating system stood in for the token since this process began.
func (k *Keyring) RandomFallbacks() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.fallbacks
	if k.random != nil {
		n += k.random.Fallbacks()
	}
	return n
}

// newRandom returns the source that the settings name; nil: the operating system.
func (k *Keyring) newRandom(use *tokens.Use, stored HSM) (random *hsm.Random, err error) {
	s := stored.Settings
	if use != nil && s.Enabled && s.RandomSource != hsm.RandomOS {
		if random, err = hsm.NewRandom(s.RandomSource, s.RandomPolicy, k.Rand, unlessAway{use}); err != nil {
			return nil, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.random != nil {
		k.fallbacks += k.random.Fallbacks()
	}
	k.random = random
	return random, nil
}

// unlessAway is a token that nobody waits for while it is known to be away.
type unlessAway struct{ *tokens.Use }

func (u unlessAway) Run(ctx context.Context, f token.Func) error {
	if err := u.Away(); err != nil {
		return err
	}
	return u.Use.Run(ctx, f)
}
