// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// The purposes that material is sealed for: each has a key encryption key of its own.
const (
	PurposeOnline  = "use"
	PurposeArchive = "archive"
)

// wrapTime bounds the wrapping of a new version.
const wrapTime = 10 * time.Second

// versionID names one version of one key for ever: its material never changes.
type versionID struct {
	keyID  string
	number int
}

// cipherID is where the cipher of a version is kept: with the name of its key, by which it is dropped.
type cipherID struct {
	name string
	versionID
}

func (c cipherID) group() string { return c.name }

// errOtherKey reports a stored version that belongs to an earlier key of the same name.
var errOtherKey = errors.New("stored version belongs to another key")

// errNowhere reports a version whose material should be there and is not.
var errNowhere = errors.New("stored version has no material")

// errStale reports that a key was changed after a request had looked at it, so that the material it needs is gone: it has
// to look again.
var errStale = errors.New("the key was changed during the request")

// errSelfTest reports new material that did not come back as it was sealed; it is not committed.
var errSelfTest = errors.New("self-test of new key material: it does not open to what was sealed")

// hardware is what a wrapper has besides that keeps its key encryption key in a hardware security module.
type hardware interface{ Hardware() bool }

// requireHardware refuses new material that the policy wants wrapped by an HSM where none does it. It comes before a
// new mount gets its key encryption keys, so that nothing is written.
func requireHardware(ctx context.Context, r Repo, policy *lifecycle.Policy) error {
	if policy == nil || policy.HSM != lifecycle.Required {
		return nil
	}
	wrapper, _, err := r.Wrapper(ctx, PurposeOnline, false)
	if err == nil {
		if w, ok := wrapper.(hardware); ok && w.Hardware() {
			return nil
		}
	}
	return lifecycle.Refusedf("hsm: %q: policy %q wants new versions wrapped by an HSM: no HSM is configured", string(lifecycle.Required), policy.Name)
}

func binding(instance, purpose string, k *lifecycle.Key, number int) envelope.Binding {
	return envelope.Binding{
		Instance: instance, KeyID: k.ID, Version: number, Algorithm: envelope.Algorithm(k.Type), Purpose: purpose,
	}
}

func specOf(k *lifecycle.Key) envelope.Spec {
	return envelope.Spec{Algorithm: envelope.Algorithm(k.Type), Derived: k.Derived, Convergent: k.Convergent}
}

// cipher returns the cipher of a version, opening its material on first use. The error is [errStale] where the key was
// deleted, or the version destroyed, since the snapshot was taken.
func (e *Engine) cipher(ctx context.Context, r Repo, k *lifecycle.Key, number int) (*envelope.Cipher, error) {
	c, err := e.ciphers.get(cipherID{k.Name, versionID{k.ID, number}}, func() (*envelope.Cipher, error) {
		return e.openCipher(ctx, r, k, number)
	})
	if err != nil && e.changed(ctx, r, k) {
		return nil, fmt.Errorf("%w: %w", errStale, err)
	}
	return c, err
}

// changed reports whether the committed key is another than the snapshot, which is forgotten then.
func (e *Engine) changed(ctx context.Context, r Repo, k *lifecycle.Key) bool {
	e.keys.drop(k.Name)
	fresh, err := e.key(ctx, r, k.Name)
	if err != nil {
		return errors.Is(err, lifecycle.ErrNotFound)
	}
	return fresh.ID != k.ID || fresh.Revision != k.Revision
}

func (e *Engine) openCipher(ctx context.Context, r Repo, k *lifecycle.Key, number int) (*envelope.Cipher, error) {
	material, err := e.load(ctx, r, k, number)
	if err != nil {
		return nil, fmt.Errorf("load key %q version %d: %w", k.Name, number, err)
	}
	defer material.Wipe()
	return envelope.NewCipher(specOf(k), number, material, e.rand)
}

// load opens the material of a version where it is. A version that was recovered may
// still be in the archive for a moment; if it leaves it between the two reads, it is in use by then.
func (e *Engine) load(ctx context.Context, r Repo, k *lifecycle.Key, number int) (m envelope.Material, err error) {
	for range 2 {
		v, err := r.Version(ctx, k.Name, number)
		if err != nil {
			return m, err
		}
		if len(v.Sealed) > 0 {
			return e.open(ctx, r, k, v, PurposeOnline)
		}
		v, err = r.Archived(ctx, k.Name, number)
		if err == nil {
			return e.open(ctx, r, k, v, PurposeArchive)
		}
		if !errors.Is(err, lifecycle.ErrNotFound) {
			return m, err
		}
	}
	return m, errNowhere
}

func (e *Engine) open(ctx context.Context, r Repo, k *lifecycle.Key, v lifecycle.Version, purpose string) (envelope.Material, error) {
	if v.KeyID != k.ID {
		return envelope.Material{}, errOtherKey
	}
	wrapper, instance, err := r.Wrapper(ctx, purpose, false)
	if err != nil {
		return envelope.Material{}, err
	}
	return envelope.Open(ctx, wrapper, v.Sealed, binding(instance, purpose, k, v.Number))
}

// seal returns the version with its material sealed for a purpose.
func (e *Engine) seal(
	ctx context.Context, r Repo, k *lifecycle.Key, v lifecycle.Version, m envelope.Material, purpose string,
) (lifecycle.Version, error) {
	wrapper, instance, err := r.Wrapper(ctx, purpose, false)
	if err != nil {
		return v, err
	}
	v.Sealed, err = envelope.Seal(ctx, wrapper, m, binding(instance, purpose, k, v.Number), e.rand)
	return v, err
}

// newVersion makes the material of a version, proves that it works and that what is stored opens to it again, and
// returns it sealed. Nothing is written. The lock of the key is held meanwhile, so a wrapper that does not answer is not
// waited for.
func (e *Engine) newVersion(
	ctx context.Context, r Repo, k *lifecycle.Key, number int, policy *lifecycle.Policy,
) (*lifecycle.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, wrapTime)
	defer cancel()
	if err := requireHardware(ctx, r, policy); err != nil {
		return nil, err
	}
	wrapper, instance, err := r.Wrapper(ctx, PurposeOnline, true)
	if err != nil {
		return nil, err
	}
	material, err := envelope.Generate(envelope.Algorithm(k.Type), e.rand)
	if err != nil {
		return nil, err
	}
	defer material.Wipe()
	c, err := envelope.NewCipher(specOf(k), number, material, e.rand)
	if err != nil {
		return nil, err
	}
	if err := c.SelfTest(); err != nil {
		return nil, err
	}
	bound := binding(instance, PurposeOnline, k, number)
	sealed, err := envelope.Seal(ctx, wrapper, material, bound, e.rand)
	if err != nil {
		return nil, err
	}
	opened, err := envelope.Open(ctx, wrapper, sealed, bound)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSelfTest, err)
	}
	defer opened.Wipe()
	if !opened.Equal(material) {
		return nil, errSelfTest
	}
	return &lifecycle.Version{
		KeyID: k.ID, Number: number, Created: e.now(), Fingerprint: material.Fingerprint(), Sealed: sealed,
	}, nil
}
