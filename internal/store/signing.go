// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

const signingKeysPath = "config/custody"

// signingKeysRecord is config/custody: every generation of the key that signs checkpoints, oldest first.
type signingKeysRecord struct {
	Schema int              `json:"schema"`
	Keys   []signingKeyJSON `json:"keys"`
}

type signingKeyJSON struct {
	Public custody.PublicKey `json:"public"`
	Seed   []byte            `json:"seed"`
}

// SigningKeys returns the generations of the mount's signing key, oldest first; none before the first is made.
func (r Signing) SigningKeys(ctx context.Context) ([]custody.SigningKey, error) {
	keys, _, err := r.signingKeys(ctx)
	return keys, err
}

func (r Signing) signingKeys(ctx context.Context) ([]custody.SigningKey, unknown, error) {
	var rec signingKeysRecord
	rest, _, err := read(ctx, r.conn, signingKeysPath, &rec)
	if err != nil {
		return nil, nil, err
	}
	keys := make([]custody.SigningKey, len(rec.Keys))
	for i, k := range rec.Keys {
		if keys[i], err = custody.RestoreSigningKey(k.Seed, k.Public); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", signingKeysPath, err)
		}
	}
	return keys, rest, nil
}

// AddSigningKey commits one more generation, made by grow from those there are. Where grow returns nil, nothing
// changes.
func (r Signing) AddSigningKey(
	ctx context.Context, grow func(keys []custody.SigningKey) (*custody.SigningKey, error),
) ([]custody.SigningKey, error) {
	unlock, err := r.lock(ctx, &r.s.mount, signingKeysPath)
	if err != nil {
		return nil, err
	}
	defer unlock()
	keys, rest, err := r.signingKeys(ctx)
	if err != nil {
		return nil, err
	}
	next, err := grow(keys)
	if err != nil || next == nil {
		return keys, err
	}
	keys = append(keys, *next)
	rec := signingKeysRecord{Schema: schema, Keys: make([]signingKeyJSON, len(keys))}
	for i, k := range keys {
		rec.Keys[i] = signingKeyJSON{Public: k.Public(), Seed: k.Seed()}
	}
	return keys, r.put(ctx, signingKeysPath, rec, rest)
}

// Instance returns the identity of the mount's data. The error says so where the mount has no key yet.
func (r KEKs) Instance(ctx context.Context) (string, error) { return r.instance(ctx) }
