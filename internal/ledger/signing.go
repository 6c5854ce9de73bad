// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// The seed of a signing key is sealed as the material in use is, so that with a token none of them can be had without it. A
// wrapper is asked while no lock is held: a key is made for the generations there are, and added if they are still those.

// wrapTime bounds the making or the opening of a signing key.
const wrapTime = 10 * time.Second

// mostRounds is how often a key is made that others overtake.
const mostRounds = 8

// errOvertaken reports a rotation that others overtook as often as it was tried. It may be tried again.
var errOvertaken = fmt.Errorf("%w: signing keys were made by others again and again; nothing was written, try again", envelope.ErrUnavailable)

// PublicKeys returns the keys that checkpoints are signed with, the oldest first. A mount that has none gets its first.
func (l Ledger) PublicKeys(ctx context.Context) (custody.PublicKeys, error) {
	keys, err := l.signingKeys(ctx)
	return publicOf(keys), err
}

// signingKeys returns the keys. A mount that has none gets its first.
func (l Ledger) signingKeys(ctx context.Context) ([]custody.StoredKey, error) {
	keys, err := l.store.Signing.SigningKeys(ctx)
	if err != nil || len(keys) > 0 {
		return keys, err
	}
	keys, _, err = l.addSigningKey(ctx, keys, lifecycle.Event{Act: string(acts.RotateSigningKey)}) // also for the first one
	return keys, err
}

// RotateSigningKey makes a new key for checkpoints, signed by the one before.
func (l Ledger) RotateSigningKey(ctx context.Context, reason string) (custody.PublicKeys, error) {
	event := lifecycle.Event{Act: string(acts.RotateSigningKey), Reason: reason}
	if l.store.Consent != nil {
		var err error
		if event, err = l.store.Consent(ctx, acts.GateCustodyKey, event); err != nil {
			return nil, err
		}
	}
	for range mostRounds {
		keys, err := l.store.Signing.SigningKeys(ctx)
		if err != nil {
			return nil, err
		}
		keys, overtaken, err := l.addSigningKey(ctx, keys, event)
		switch {
		case err != nil:
			return nil, err
		case !overtaken:
			l.Log.Info("rotated custody signing key", "generation", len(keys), "reason", reason)
			return publicOf(keys), nil
		}
	}
	return nil, errOvertaken
}

// addSigningKey adds a key to those that were read. Overtaken: others did, and keys are theirs.
func (l Ledger) addSigningKey(ctx context.Context, to []custody.StoredKey, event lifecycle.Event) (keys []custody.StoredKey, overtaken bool, err error) {
	next, err := l.makeSigningKey(ctx, to)
	if err != nil {
		return nil, false, err
	}
	keys, err = l.store.Signing.AddSigningKey(ctx, event, func(now []custody.StoredKey) *custody.StoredKey {
		if overtaken = len(now) != len(to); overtaken {
			return nil
		}
		return &next
	})
	return keys, overtaken, err
}

// makeSigningKey makes the key after those there are, sealed, and sees that it opens again.
func (l Ledger) makeSigningKey(ctx context.Context, keys []custody.StoredKey) (custody.StoredKey, error) {
	var previous *custody.SigningKey
	if len(keys) > 0 {
		last, err := l.open(ctx, keys[len(keys)-1])
		if err != nil {
			return custody.StoredKey{}, err
		}
		previous = &last
	}
	key, err := custody.NewSigningKey(l.Rand, l.Now(), len(keys)+1, previous)
	if err != nil {
		return custody.StoredKey{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, wrapTime)
	defer cancel()
	wrapper, instance, err := l.store.Wrappers.Wrapper(ctx, envelope.PurposeOnline, true)
	if err != nil {
		return custody.StoredKey{}, err
	}
	stored, err := l.seal(ctx, wrapper, instance, key)
	if err != nil {
		return custody.StoredKey{}, err
	}
	_, err = l.open(ctx, stored)
	return stored, err
}

// boundTo is what a sealed seed belongs to: one generation of one mount, and no key.
func boundTo(instance string, k custody.PublicKey) envelope.Binding {
	return envelope.Binding{Instance: instance, KeyID: k.ID, Version: k.Generation, Algorithm: "ed25519", Purpose: "custody"}
}

func (l Ledger) seal(ctx context.Context, w envelope.KeyWrapper, instance string, key custody.SigningKey) (custody.StoredKey, error) {
	seed := key.Seed()
	defer clear(seed)
	material := envelope.NewMaterial(seed, nil)
	defer material.Wipe()
	sealed, err := envelope.Seal(ctx, w, material, boundTo(instance, key.Public()), l.Rand)
	return custody.StoredKey{Public: key.Public(), Sealed: sealed}, err
}

// open returns a key that signs.
func (l Ledger) open(ctx context.Context, k custody.StoredKey) (custody.SigningKey, error) {
	if len(k.Sealed) == 0 {
		return k.Plain, nil
	}
	ctx, cancel := context.WithTimeout(ctx, wrapTime)
	defer cancel()
	wrapper, instance, err := l.store.Wrappers.Wrapper(ctx, envelope.PurposeOnline, false)
	if err != nil {
		return custody.SigningKey{}, err
	}
	material, err := envelope.Open(ctx, wrapper, k.Sealed, boundTo(instance, k.Public))
	if err != nil {
		return custody.SigningKey{}, fmt.Errorf("signing key of generation %d: %w", k.Public.Generation, err)
	}
	defer material.Wipe()
	seed, _ := material.Reveal()
	return custody.RestoreSigningKey(seed, k.Public)
}

// SigningReferences counts the signing keys that only a key encryption key opens. The error is of those that do not tell what
// wraps them.
func (l Ledger) SigningReferences(ctx context.Context, w envelope.KEKWrapper, kek [16]byte) (n int, err error) {
	keys, err := l.store.Signing.SigningKeys(ctx)
	for _, k := range keys {
		if len(k.Sealed) == 0 {
			continue
		}
		id, failed := envelope.KEKOf(w, k.Sealed)
		switch {
		case failed != nil:
			err = errors.Join(err, fmt.Errorf("signing key of generation %d: %w", k.Public.Generation, failed))
		case id == kek:
			n++
		}
	}
	return n, err
}

// RewrapSigningKeys wraps the signing keys with the active key encryption key, also those that nothing has wrapped yet: found of
// them, all in one write or, where they were changed meanwhile, none. What cannot be wrapped stays as it is; the error says why.
func (l Ledger) RewrapSigningKeys(ctx context.Context, w envelope.KEKWrapper, instance string) (found, done int, err error) {
	keys, err := l.store.Signing.SigningKeys(ctx)
	if err != nil {
		return 0, 0, err
	}
	next := slices.Clone(keys)
	wrapped := 0
	for i, k := range keys {
		anew, needed, failed := l.rewrapped(ctx, w, instance, k)
		switch {
		case errors.Is(failed, envelope.ErrUnavailable), errors.Is(failed, envelope.ErrWrap):
			return 0, 0, failed
		case failed != nil:
			err = errors.Join(err, fmt.Errorf("signing key of generation %d: %w", k.Public.Generation, failed))
		case needed:
			next[i] = anew
			wrapped++
		}
	}
	if wrapped == 0 {
		return 0, 0, err
	}
	replaced, failed := l.store.Signing.ReplaceSigningKeys(ctx, keys, next)
	if replaced {
		done = wrapped
	}
	return wrapped, done, errors.Join(err, failed)
}

func (l Ledger) rewrapped(
	ctx context.Context, w envelope.KEKWrapper, instance string, k custody.StoredKey,
) (anew custody.StoredKey, needed bool, err error) {
	if len(k.Sealed) == 0 {
		anew, err = l.seal(ctx, w, instance, k.Plain)
		return anew, true, err
	}
	id, err := envelope.KEKOf(w, k.Sealed)
	if err != nil || id == w.Active() {
		return k, false, err
	}
	k.Sealed, err = envelope.Rewrap(ctx, w, k.Sealed, boundTo(instance, k.Public))
	return k, true, err
}

func publicOf(keys []custody.StoredKey) custody.PublicKeys {
	public := make(custody.PublicKeys, len(keys))
	for i, k := range keys {
		public[i] = k.Public
	}
	return public
}
