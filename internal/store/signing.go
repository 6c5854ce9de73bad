// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

const signingKeysPath = "config/custody"

// signingKeysRecord is config/custody: every generation of the key that signs checkpoints, oldest first. A seed is sealed as
// material is; of a generation that an earlier release made it lies there as it is until it is wrapped anew.
type signingKeysRecord struct {
	Schema int              `json:"schema"`
	Keys   []signingKeyJSON `json:"keys"`
	journaled
}

type signingKeyJSON struct {
	Public custody.PublicKey `json:"public"`
	Seed   []byte            `json:"seed"`
	Sealed []byte            `json:"sealed"`
}

// SigningKeys returns the generations of the mount's signing key, oldest first; none before the first is made.
func (r Signing) SigningKeys(ctx context.Context) ([]custody.StoredKey, error) {
	keys, _, _, err := r.signingKeys(ctx)
	return keys, err
}

func (r Signing) signingKeys(ctx context.Context) (keys []custody.StoredKey, by journaled, rest unknown, err error) {
	var rec signingKeysRecord
	if rest, _, err = read(ctx, r.conn, signingKeysPath, &rec); err != nil {
		return nil, by, nil, err
	}
	keys = make([]custody.StoredKey, len(rec.Keys))
	for i, k := range rec.Keys {
		keys[i] = custody.StoredKey{Public: k.Public, Sealed: k.Sealed}
		if len(k.Sealed) > 0 {
			continue
		}
		if keys[i].Plain, err = custody.RestoreSigningKey(k.Seed, k.Public); err != nil {
			return nil, by, nil, fmt.Errorf("%s: %w", signingKeysPath, err)
		}
	}
	return keys, rec.journaled, rest, nil
}

func (r Signing) putSigningKeys(ctx context.Context, keys []custody.StoredKey, by journaled, rest unknown) error {
	rec := signingKeysRecord{Schema: schema, Keys: make([]signingKeyJSON, len(keys)), journaled: by}
	for i, k := range keys {
		rec.Keys[i] = signingKeyJSON{Public: k.Public, Seed: k.Plain.Seed(), Sealed: k.Sealed}
	}
	return r.put(ctx, signingKeysPath, rec, rest)
}

// AddSigningKey commits one more generation, made by grow from those there are, between the two custody records of the event,
// which tells the generation and its id, too. Where grow returns nil, or the request has made one already, nothing changes.
func (r Signing) AddSigningKey(
	ctx context.Context, event lifecycle.Event, grow func(keys []custody.StoredKey) *custody.StoredKey,
) ([]custody.StoredKey, error) {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var keys []custody.StoredKey
	var next *custody.StoredKey
	var rest unknown
	write, err := r.decided(ctx, func() (write bool, err error) {
		if keys, _, rest, err = r.signingKeys(ctx); err != nil {
			return false, err
		}
		next = grow(keys)
		return next != nil, nil
	})
	if err != nil || !write || r.repeatedOnMount(ctx) {
		return keys, err
	}
	keys = append(keys, *next)
	event = event.With("generation", strconv.Itoa(len(keys))).With("key_id", next.Public.ID)
	return keys, Journals(r).onMount(ctx, event, func(ctx context.Context, begun journaled) error {
		return r.putSigningKeys(ctx, keys, begun, rest)
	})
}

// ReplaceSigningKeys puts the same generations, sealed anew, in the place of what was read of them, if that is what is stored.
// It is no act that custody keeps.
func (r Signing) ReplaceSigningKeys(ctx context.Context, was, next []custody.StoredKey) (replaced bool, err error) {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return false, err
	}
	defer unlock()
	keys, by, rest, err := r.signingKeys(ctx)
	if err != nil || !slices.EqualFunc(keys, was, sameStored) {
		return false, err
	}
	err = r.putSigningKeys(ctx, next, by, rest)
	return err == nil, err
}

func sameStored(a, b custody.StoredKey) bool {
	return a.Public.ID == b.Public.ID && bytes.Equal(a.Sealed, b.Sealed)
}

// repeatedOnMount reports whether the request has done its act on the mount already.
func (r Signing) repeatedOnMount(ctx context.Context) bool {
	from, exists, err := Journals(r).named(ctx, custody.MountChain)
	return err == nil && Journals(r).repeated(ctx, custody.MountChain, from, exists)
}

// Instance returns the identity of the mount's data. The error says so where the mount has no key yet.
func (r KEKs) Instance(ctx context.Context) (string, error) { return r.instance(ctx) }
