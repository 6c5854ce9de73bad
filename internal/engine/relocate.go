// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// relocateDisplaced is relocateNow after a change of a key that may have moved nothing.
func (a Acts) relocateDisplaced(ctx context.Context, before, after lifecycle.Key) (pending bool) {
	return lifecycle.Displaced(before, after) != (lifecycle.Range{}) && a.relocateNow(ctx, after.Name)
}

// relocateNow is Relocate for a request. Pending means that material is still where it was: a tick goes on.
func (a Acts) relocateNow(ctx context.Context, name string) (pending bool) {
	left, err := a.Relocate(ctx, name)
	if err != nil {
		a.Log.Error("material could not be moved yet; a tick goes on", "key", name, "error", err)
	}
	return left || err != nil
}

// Relocate brings the material of a key to where its record says it belongs: into the archive, back from it, or out of
// existence; left: not all of it. It is replayed from the intent until it is done, by the request that opened it or by a
// tick.
func (a Acts) Relocate(ctx context.Context, name string) (left bool, err error) {
	return a.store.Moves.Relocate(ctx, name, func(k lifecycle.Key, n int) error {
		a.Plane.ForgetCipher(&k, n)
		defer a.Plane.ForgetCipher(&k, n) // a request that began before may have loaded it meanwhile
		if err := a.relocate(ctx, &k, n); err != nil {
			return fmt.Errorf("move material of key %q version %d: %w", name, n, err)
		}
		return nil
	})
}

// relocate does it for one version. Every step can be repeated: a copy is written before the other is erased.
func (a Acts) relocate(ctx context.Context, k *lifecycle.Key, n int) error {
	v, err := a.store.Versions.Version(ctx, k.Name, n)
	if err != nil {
		return err
	}
	switch lifecycle.LocationOf(*k, n) {
	case lifecycle.InArchive:
		return a.toArchive(ctx, k, v)
	case lifecycle.Erased:
		return errors.Join(a.eraseSealed(ctx, k.Name, v), a.store.Material.DropArchived(ctx, k.Name, n))
	default:
		return a.fromArchive(ctx, k, v)
	}
}

func (a Acts) toArchive(ctx context.Context, k *lifecycle.Key, v lifecycle.Version) error {
	if len(v.Sealed) == 0 {
		return nil
	}
	material, err := a.data.Materials().Open(ctx, k, v, envelope.PurposeOnline)
	if err != nil {
		return err
	}
	defer material.Wipe()
	archived, err := a.data.Materials().Seal(ctx, k, v, material, envelope.PurposeArchive)
	if err != nil {
		return err
	}
	if err := a.store.Material.PutArchived(ctx, k.Name, archived); err != nil {
		return err
	}
	return a.eraseSealed(ctx, k.Name, v)
}

func (a Acts) fromArchive(ctx context.Context, k *lifecycle.Key, v lifecycle.Version) error {
	archived, err := a.store.Material.Archived(ctx, k.Name, v.Number)
	if errors.Is(err, refusal.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(v.Sealed) == 0 {
		material, err := a.data.Materials().Open(ctx, k, archived, envelope.PurposeArchive)
		if err != nil {
			return err
		}
		defer material.Wipe()
		if v, err = a.data.Materials().Seal(ctx, k, v, material, envelope.PurposeOnline); err != nil {
			return err
		}
		if err := a.store.Material.PutVersion(ctx, k.Name, v); err != nil {
			return err
		}
	}
	return a.store.Material.DropArchived(ctx, k.Name, v.Number)
}

// eraseSealed leaves of a stored version what is no secret: its number, dates and fingerprint.
func (a Acts) eraseSealed(ctx context.Context, name string, v lifecycle.Version) error {
	if len(v.Sealed) == 0 {
		return nil
	}
	v.Sealed = nil
	return a.store.Material.PutVersion(ctx, name, v)
}
