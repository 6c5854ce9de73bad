// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

const signingKeysPath = "config/custody"

// signingKeysRecord is config/custody: every generation of the key that signs checkpoints, oldest first.
type signingKeysRecord struct {
	Schema int              `json:"schema"`
	Keys   []signingKeyJSON `json:"keys"`
	journaled
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

// AddSigningKey commits one more generation, made by grow from those there are, between the two custody records of the event,
// which tells the generation and its id, too. Where grow returns nil, or the request has made one already, nothing changes.
func (r Signing) AddSigningKey(
	ctx context.Context, event lifecycle.Event, grow func(keys []custody.SigningKey) (*custody.SigningKey, error),
) ([]custody.SigningKey, error) {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var keys []custody.SigningKey
	var next *custody.SigningKey
	var rest unknown
	write, err := r.decided(ctx, func() (write bool, err error) {
		if keys, rest, err = r.signingKeys(ctx); err != nil {
			return false, err
		}
		next, err = grow(keys)
		return next != nil, err
	})
	if err != nil || !write || r.repeatedOnMount(ctx) {
		return keys, err
	}
	keys = append(keys, *next)
	rec := signingKeysRecord{Schema: schema, Keys: make([]signingKeyJSON, len(keys))}
	for i, k := range keys {
		rec.Keys[i] = signingKeyJSON{Public: k.Public(), Seed: k.Seed()}
	}
	event = event.With("generation", strconv.Itoa(len(keys))).With("key_id", next.Public().ID)
	return keys, Journals(r).onMount(ctx, event, func(ctx context.Context, begun journaled) error {
		rec.journaled = begun
		return r.put(ctx, signingKeysPath, rec, rest)
	})
}

// repeatedOnMount reports whether the request has done its act on the mount already.
func (r Signing) repeatedOnMount(ctx context.Context) bool {
	from, exists, err := Journals(r).named(ctx, custody.MountChain)
	return err == nil && Journals(r).repeated(ctx, custody.MountChain, from, exists)
}

// Instance returns the identity of the mount's data. The error says so where the mount has no key yet.
func (r KEKs) Instance(ctx context.Context) (string, error) { return r.instance(ctx) }
