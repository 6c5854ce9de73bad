// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
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
// existence, and without its private half where that is to go; left: not all of it. It is replayed from the intent until it is
// done, by the request that opened it or by a tick.
func (a Acts) Relocate(ctx context.Context, name string) (left bool, err error) {
	r := &relocation{Acts: a, read: map[entry]lifecycle.Version{}}
	r.forget = func() { clear(r.read) }
	return a.store.Moves.Relocate(ctx, name, func(k lifecycle.Key, n int) error {
		a.Plane.ForgetCipher(&k, n)
		defer a.Plane.ForgetCipher(&k, n) // a request that began before may have loaded it meanwhile
		if err := r.relocate(ctx, &k, n); err != nil {
			return fmt.Errorf("move material of key %q version %d: %w", name, n, err)
		}
		r.rounds = 0
		clear(r.read)
		return nil
	})
}

// relocation moves material of one key. A wrapper seals it for its new place while the key's lock is free: what was sealed is
// put there only if what it was sealed from is still what is stored.
type relocation struct {
	Acts
	preparation
	read   map[entry]lifecycle.Version // under the lock
	sealed resealed
	object destroyedObject
}

// entry names one of the two that a version may have.
type entry struct {
	number  int
	purpose string
}

// resealed is material that was opened and sealed anew: for another purpose, or without its private half.
type resealed struct {
	entry        // that it was sealed for
	private bool // whether its private half was to stay
	keyID   string
	from    []byte // as it was stored
	to      []byte
	err     error // why there is none
}

// stored reads an entry once, for as long as no other writer has the key's lock.
func (r *relocation) stored(ctx context.Context, name string, of entry) (v lifecycle.Version, err error) {
	v, known := r.read[of]
	if known {
		return v, nil
	}
	if of.purpose == envelope.PurposeArchive {
		v, err = r.store.Material.Archived(ctx, name, of.number)
	} else {
		v, err = r.store.Versions.Version(ctx, name, of.number)
	}
	if err == nil {
		r.read[of] = v
	}
	return v, err
}

// relocate does it for one version. Every step can be repeated: a copy is written before the other is erased.
func (r *relocation) relocate(ctx context.Context, k *lifecycle.Key, n int) error {
	v, err := r.stored(ctx, k.Name, entry{n, envelope.PurposeOnline})
	if err != nil {
		return err
	}
	if v, err = r.withoutObject(ctx, k, v); err != nil {
		return err
	}
	switch lifecycle.LocationOf(*k, n) {
	case lifecycle.InArchive:
		return r.toArchive(ctx, k, v)
	case lifecycle.Erased:
		return r.erase(ctx, k, v)
	default:
		return r.fromArchive(ctx, k, v)
	}
}

func (r *relocation) toArchive(ctx context.Context, k *lifecycle.Key, v lifecycle.Version) error {
	if len(v.Sealed) == 0 {
		return r.inArchive(ctx, k, v.Number)
	}
	archived, err := r.reseal(k, v, envelope.PurposeOnline, envelope.PurposeArchive)
	if err != nil {
		return err
	}
	if err := r.store.Material.PutArchived(ctx, k.Name, archived); err != nil {
		return err
	}
	return r.eraseSealed(ctx, k.Name, v)
}

func (r *relocation) fromArchive(ctx context.Context, k *lifecycle.Key, v lifecycle.Version) error {
	archived, err := r.stored(ctx, k.Name, entry{v.Number, envelope.PurposeArchive})
	if errors.Is(err, refusal.ErrNotFound) {
		return r.withoutPrivate(ctx, k, v, envelope.PurposeOnline, r.store.Material.PutVersion)
	}
	if err != nil {
		return err
	}
	if len(v.Sealed) == 0 {
		if v, err = r.reseal(k, archived, envelope.PurposeArchive, envelope.PurposeOnline); err != nil {
			return err
		}
		if err := r.store.Material.PutVersion(ctx, k.Name, v); err != nil {
			return err
		}
	}
	return r.store.Material.DropArchived(ctx, k.Name, v.Number)
}

// inArchive erases what is not to stay of a version that is archived already.
func (r *relocation) inArchive(ctx context.Context, k *lifecycle.Key, number int) error {
	if lifecycle.KeepsPrivate(*k, number) {
		return nil
	}
	archived, err := r.stored(ctx, k.Name, entry{number, envelope.PurposeArchive})
	if errors.Is(err, refusal.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.withoutPrivate(ctx, k, archived, envelope.PurposeArchive, r.store.Material.PutArchived)
}

// withoutPrivate replaces what is stored of a version by what has no private half, where it is not to have one any more.
func (r *relocation) withoutPrivate(
	ctx context.Context, k *lifecycle.Key, v lifecycle.Version, purpose string, put func(ctx context.Context, name string, v lifecycle.Version) error,
) error {
	if v.PublicOnly || len(v.Sealed) == 0 || lifecycle.KeepsPrivate(*k, v.Number) {
		return nil
	}
	public, err := r.reseal(k, v, purpose, purpose)
	if err != nil {
		return err
	}
	return put(ctx, k.Name, public)
}

// reseal returns a stored version with its material sealed anew, for another purpose or without its private half, if it was sealed
// from the very bytes.
func (r *relocation) reseal(k *lifecycle.Key, v lifecycle.Version, from, to string) (lifecycle.Version, error) {
	want, private := entry{v.Number, to}, lifecycle.KeepsPrivate(*k, v.Number)
	if r.sealed.entry == want && r.sealed.private == private && r.sealed.keyID == k.ID && bytes.Equal(r.sealed.from, v.Sealed) {
		v.Sealed, v.PublicOnly = r.sealed.to, v.PublicOnly || !private
		return v, r.sealed.err
	}
	of := *k
	return v, r.lacks(func(ctx context.Context) error {
		r.sealed = resealed{entry: want, private: private, keyID: of.ID, from: v.Sealed}
		r.sealed.to, r.sealed.err = r.moved(ctx, &of, v, from, to)
		return r.sealed.err
	})
}

// moved opens the material of a version and seals it anew. It must not be called under the lock of a key.
func (r *relocation) moved(ctx context.Context, k *lifecycle.Key, v lifecycle.Version, from, to string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, wrapTime)
	defer cancel()
	material, err := r.data.Materials().Open(ctx, k, v, from) // without the private half, where that is to go
	if err != nil {
		return nil, err
	}
	defer material.Wipe()
	sealed, err := r.data.Materials().Seal(ctx, k, v, material, to)
	return sealed.Sealed, err
}

// eraseSealed leaves of a stored version what is no secret: its number, dates and fingerprint.
func (r *relocation) eraseSealed(ctx context.Context, name string, v lifecycle.Version) error {
	if len(v.Sealed) == 0 {
		return nil
	}
	v.Sealed = nil
	return r.store.Material.PutVersion(ctx, name, v)
}
