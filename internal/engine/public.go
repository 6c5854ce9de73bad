// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// PublicHalves is what is no secret about keys of two halves: it needs no wrapper, and opens no material.
type PublicHalves struct{ *Session }

// keys returns the public halves of the versions from the floor on, the staged one among them. Those of derived keys belong to
// no context, and are not shown.
func (s PublicHalves) keys(ctx context.Context, k lifecycle.Key) (map[int]string, error) {
	public := make(map[int]string, k.Latest-k.MinDecryption+1)
	if k.Derived {
		return public, nil
	}
	for n := k.MinDecryption; n <= k.Latest; n++ {
		v, err := s.store.Versions.Version(ctx, k.Name, n)
		switch {
		case errors.Is(err, refusal.ErrNotFound) || err == nil && v.KeyID != k.ID:
			continue
		case err != nil:
			return nil, err
		}
		if public[n], err = publicKeyOf(&k, v); err != nil {
			return nil, err
		}
	}
	return public, nil
}

// publicKeyOf is the public half of a version as it is shown; empty: it has none, or one for each context.
func publicKeyOf(k *lifecycle.Key, v lifecycle.Version) (string, error) {
	if k.Derived || len(v.Public) == 0 {
		return "", nil
	}
	return envelope.FormatPublic(v.Public)
}

// of returns that of a version, in PKIX DER; nil: it has none.
func (s PublicHalves) of(ctx context.Context, k *lifecycle.Key, number int) ([]byte, error) {
	v, err := s.store.Versions.Version(ctx, k.Name, number)
	if err == nil && v.KeyID != k.ID {
		err = refusal.NoVersion(k.Name, number)
	}
	return v.Public, err
}
