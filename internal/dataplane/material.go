// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// errOtherKey reports a stored version that belongs to an earlier key of the same name.
var errOtherKey = errors.New("stored version belongs to another key")

// errNowhere reports a version whose material should be there and is not.
var errNowhere = errors.New("stored version has no material")

// errStale reports that a key was changed after a request had looked at it, so that the material it needs is gone: it has
// to look again.
var errStale = errors.New("the key was changed during the request")

// Materials opens and seals the material of versions, for one request.
type Materials struct {
	Source    MaterialSource
	Wrappers  WrapperSource
	Residents ResidentSource
	Rand      io.Reader    // of nonces of data
	Random    RandomSource // nil: Rand
}

// Materials returns the material that the request's storage has.
func (s *Session) Materials() Materials {
	return Materials{s.Material, s.Wrappers, s.Residents, s.plane.Rand, s.Random}
}

// What random bytes are for.
const (
	RandomForMaterial = "material"
	RandomForSealing  = "sealing" // the data key of a version, and its nonce
)

// RandomFor returns where the random bytes of what is stored come from.
func (m Materials) RandomFor(ctx context.Context, purpose string) (io.Reader, error) {
	if m.Random == nil {
		return m.Rand, nil
	}
	return m.Random.Random(ctx, purpose)
}

// Load opens the material of a version where it is. A version that was recovered may still be in the archive for a moment;
// if it leaves it between the two reads, it is in use by then.
func (m Materials) Load(ctx context.Context, k *lifecycle.Key, number int) (none envelope.Material, err error) {
	for range 2 {
		v, err := m.Source.Version(ctx, k.Name, number)
		if err != nil {
			return none, err
		}
		if len(v.Sealed) > 0 {
			return m.Open(ctx, k, v, envelope.PurposeOnline)
		}
		v, err = m.Source.Archived(ctx, k.Name, number)
		if err == nil {
			return m.Open(ctx, k, v, envelope.PurposeArchive)
		}
		if !errors.Is(err, refusal.ErrNotFound) {
			return none, err
		}
	}
	return none, errNowhere
}

// Open opens the material of a stored version that was sealed for a purpose.
func (m Materials) Open(ctx context.Context, k *lifecycle.Key, v lifecycle.Version, purpose string) (envelope.Material, error) {
	if v.KeyID != k.ID {
		return envelope.Material{}, errOtherKey
	}
	wrapper, instance, err := m.Wrappers.Wrapper(ctx, purpose, false)
	if err != nil {
		return envelope.Material{}, err
	}
	opened, err := envelope.Open(ctx, wrapper, v.Sealed, Binding(instance, purpose, k, v.Number))
	// What an import that was cut short has stored is not in force, and what is to be erased is gone.
	if err == nil && (k.IsPublicOnly(v.Number) || !lifecycle.KeepsPrivate(*k, v.Number)) {
		defer opened.Wipe()
		return opened.WithoutPrivate(), nil
	}
	return opened, err
}

// Seal returns the version with its material sealed for a purpose.
func (m Materials) Seal(
	ctx context.Context, k *lifecycle.Key, v lifecycle.Version, material envelope.Material, purpose string,
) (lifecycle.Version, error) {
	wrapper, instance, err := m.Wrappers.Wrapper(ctx, purpose, false)
	if err != nil {
		return v, err
	}
	random, err := m.RandomFor(ctx, RandomForSealing)
	if err != nil {
		return v, err
	}
	v.Sealed, err = envelope.Seal(ctx, wrapper, material, Binding(instance, purpose, k, v.Number), random)
	return v, err
}

// Cipher opens the material of a version and returns its cipher.
func (m Materials) Cipher(ctx context.Context, k *lifecycle.Key, number int) (*envelope.Cipher, error) {
	c, _, err := m.load(ctx, k, number)
	return c, err
}

// load is Cipher. It reports whether a hardware security module unwrapped the material.
func (m Materials) load(ctx context.Context, k *lifecycle.Key, number int) (c *envelope.Cipher, hardware bool, err error) {
	m.Wrappers = &unwraps{WrapperSource: m.Wrappers, hardware: &hardware}
	c, err = m.cipher(ctx, k, number)
	return c, hardware, err
}

// cipher is Cipher. Where the public half alone is left, it verifies.
func (m Materials) cipher(ctx context.Context, k *lifecycle.Key, number int) (*envelope.Cipher, error) {
	if lifecycle.PublicHalfAlone(k, number) {
		return m.verifier(ctx, k, number)
	}
	material, err := m.Load(ctx, k, number)
	if err != nil {
		return nil, fmt.Errorf("load key %q version %d: %w", k.Name, number, err)
	}
	defer material.Wipe()
	return m.CipherOf(k, number, material)
}

// verifier returns the cipher of the public half of a version.
func (m Materials) verifier(ctx context.Context, k *lifecycle.Key, number int) (*envelope.Cipher, error) {
	v, err := m.Source.Version(ctx, k.Name, number)
	switch {
	case err != nil:
		return nil, fmt.Errorf("load key %q version %d: %w", k.Name, number, err)
	case v.KeyID != k.ID:
		return nil, errOtherKey
	}
	return envelope.NewVerifier(Spec(k, number), number, v.Public)
}

// Binding is what the material of a version is bound to.
func Binding(instance, purpose string, k *lifecycle.Key, number int) envelope.Binding {
	return envelope.Binding{
		Instance: instance, KeyID: k.ID, Version: number, Algorithm: envelope.Algorithm(lifecycle.TypesOf(k).Of(number)), Purpose: purpose,
	}
}

// Spec is what the cipher of a version is made to.
func Spec(k *lifecycle.Key, number int) envelope.Spec {
	return envelope.Spec{Algorithm: envelope.Algorithm(lifecycle.TypesOf(k).Of(number)), Size: lifecycle.TypesOf(k).SizeOf(number), Derived: k.Derived, Convergent: k.Convergent}
}
