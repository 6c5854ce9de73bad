// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// relocateMaterial brings the material of a key to where its record says it belongs: into the archive, back from it, or out of
// existence. It is replayed from the intent until it is done, by the request that opened it or by a tick.
func (e *Engine) relocateMaterial(ctx context.Context, r Repo, name string) error {
	_, err := e.relocateSome(ctx, r, name)
	return err
}

// relocateDisplaced is settleNow after a change of a key that may have moved nothing.
func (e *Engine) relocateDisplaced(ctx context.Context, r Repo, before, after lifecycle.Key) (pending bool) {
	return before.Displaced(after) != (lifecycle.Range{}) && e.relocateNow(ctx, r, after.Name)
}

// relocateNow is settle for a request. Pending means that material is still where it was: a tick goes on.
func (e *Engine) relocateNow(ctx context.Context, r Repo, name string) (pending bool) {
	left, err := e.relocateSome(ctx, r, name)
	if err != nil {
		e.log.Error("material could not be moved yet; a tick goes on", "key", name, "error", err)
	}
	return left || err != nil
}

func (e *Engine) relocateSome(ctx context.Context, r Repo, name string) (left bool, err error) {
	return r.Relocate(ctx, name, func(k lifecycle.Key, n int) error {
		id := cipherID{name, versionID{k.ID, n}}
		e.ciphers.drop(id)
		defer e.ciphers.drop(id) // a request that began before may have loaded it meanwhile
		if err := e.relocate(ctx, r, &k, n); err != nil {
			return fmt.Errorf("move material of key %q version %d: %w", name, n, err)
		}
		return nil
	})
}

// relocate does it for one version. Every step can be repeated: a copy is written before the other is erased.
func (e *Engine) relocate(ctx context.Context, r Repo, k *lifecycle.Key, n int) error {
	v, err := r.Version(ctx, k.Name, n)
	if err != nil {
		return err
	}
	switch k.MaterialLocation(n) {
	case lifecycle.InArchive:
		return e.toArchive(ctx, r, k, v)
	case lifecycle.Erased:
		return errors.Join(e.eraseSealed(ctx, r, k.Name, v), r.DropArchived(ctx, k.Name, n))
	default:
		return e.fromArchive(ctx, r, k, v)
	}
}

func (e *Engine) toArchive(ctx context.Context, r Repo, k *lifecycle.Key, v lifecycle.Version) error {
	if len(v.Sealed) == 0 {
		return nil
	}
	material, err := e.open(ctx, r, k, v, PurposeOnline)
	if err != nil {
		return err
	}
	defer material.Wipe()
	archived, err := e.seal(ctx, r, k, v, material, PurposeArchive)
	if err != nil {
		return err
	}
	if err := r.PutArchived(ctx, k.Name, archived); err != nil {
		return err
	}
	return e.eraseSealed(ctx, r, k.Name, v)
}

func (e *Engine) fromArchive(ctx context.Context, r Repo, k *lifecycle.Key, v lifecycle.Version) error {
	archived, err := r.Archived(ctx, k.Name, v.Number)
	if errors.Is(err, lifecycle.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(v.Sealed) == 0 {
		material, err := e.open(ctx, r, k, archived, PurposeArchive)
		if err != nil {
			return err
		}
		defer material.Wipe()
		if v, err = e.seal(ctx, r, k, v, material, PurposeOnline); err != nil {
			return err
		}
		if err := r.PutVersion(ctx, k.Name, v); err != nil {
			return err
		}
	}
	return r.DropArchived(ctx, k.Name, v.Number)
}

// eraseSealed leaves of a stored version what is no secret: its number, dates and fingerprint.
func (e *Engine) eraseSealed(ctx context.Context, r Repo, name string, v lifecycle.Version) error {
	if len(v.Sealed) == 0 {
		return nil
	}
	v.Sealed = nil
	return r.PutVersion(ctx, name, v)
}
