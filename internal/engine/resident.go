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
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file is about keys that stay on the token. Each version has one of its own there. It is noted before it is made, and
// until a commit has it: what a crash leaves on the token is always noted.

// newMaterial returns the material of a new version, and the id of its key on the token, if it has one there.
func (s *Session) newMaterial(ctx context.Context, k *lifecycle.Key, number int) (m envelope.Material, object string, err error) {
	switch {
	case s.made != nil:
		m, err = s.made(ctx, k, number)
		return m, "", err
	case k.Protection != lifecycle.Resident:
		m, err = s.newSecret(ctx, k, number)
		return m, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, tokenKeyTime)
	defer cancel()
	id, description, err := s.store.Token.DrawKey(ctx, tokenKey(k, number))
	if err != nil {
		return m, "", err
	}
	if err := s.store.Objects.PutObject(ctx, lifecycle.Object{ID: id, Key: k.Name, KeyID: k.ID, Version: number, Created: s.Now()}); err != nil {
		return m, "", err
	}
	reference, public, err := s.store.Token.GenerateKey(ctx, description)
	if err != nil {
		return m, "", err
	}
	return envelope.NewReference(reference, public), id, nil
}

// tokenKeyTime bounds the making of a key on the token: a long RSA key takes some tokens long. It is shorter than actTime.
const tokenKeyTime = time.Minute

func tokenKey(k *lifecycle.Key, number int) envelope.TokenKey {
	return envelope.TokenKey{Algorithm: envelope.Algorithm(lifecycle.TypesOf(k).Of(number)), Size: lifecycle.TypesOf(k).SizeOf(number), KeyID: k.ID, Version: number}
}

// requireToken refuses a version on the token where the token cannot hold it. It comes before a new mount gets its key
// encryption keys, so that nothing is written.
func (s *Session) requireToken(ctx context.Context, k *lifecycle.Key, number int) error {
	if k.Protection != lifecycle.Resident {
		return nil
	}
	err := s.store.Token.CheckKey(ctx, tokenKey(k, number))
	if errors.Is(err, envelope.ErrUnsupported) {
		return refusal.InvalidField("protection", string(lifecycle.Resident), err.Error())
	}
	return err
}

// claimed drops what was noted of the key of a version that was committed. Where that fails a tick does it.
func (s *Session) claimed(ctx context.Context, v *lifecycle.Version) {
	if v == nil || v.Object == "" {
		return
	}
	if err := s.store.Objects.DropObject(ctx, v.Object); err != nil {
		s.Log.Warn("a note about a key on the token is left to a tick", "id", v.Object, "error", err)
	}
}

const (
	// actTime is how long an act may take that has a key made on the token. What it made is destroyed later than that.
	actTime = 5 * time.Minute
	// objectsAtOnce is how many keys one call of SettleObjects destroys.
	objectsAtOnce = 64
)

// SettleObjects destroys the keys on the token that no version has, and drops what was noted of the others. What acts may be
// about to commit is left alone. It returns how many it destroyed. One that cannot be destroyed is not in the way of the others,
// unless the token is away.
func (a Acts) SettleObjects(ctx context.Context) (destroyed int, err error) {
	ids, err := a.store.Objects.PendingObjects(ctx)
	if err != nil {
		return 0, err
	}
	after := a.Now().Add(-actTime)
	for _, id := range ids {
		done, failed := a.settleObject(ctx, id, after)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("key %s on the token: %w", id, failed))
		}
		if done {
			destroyed++
		}
		if errors.Is(failed, envelope.ErrUnavailable) || ctx.Err() != nil || destroyed == objectsAtOnce {
			break
		}
	}
	return destroyed, err
}

// settleObject does it for one. It is not done where there was nothing to destroy.
func (a Acts) settleObject(ctx context.Context, id string, after time.Time) (done bool, err error) {
	o, destroy, err := a.store.Objects.GiveUpObject(ctx, id, after)
	if err != nil || !destroy {
		return false, err
	}
	if err := a.store.Token.DestroyKey(ctx, id, o.KeyID, o.Version); err != nil {
		return false, fmt.Errorf("destroy it, of key %q version %d: %w", o.Key, o.Version, err)
	}
	return true, a.store.Objects.DropObject(ctx, id)
}

// settleObjectsNow is SettleObjects for a request.
func (a Acts) settleObjectsNow(ctx context.Context) {
	if _, err := a.SettleObjects(ctx); err != nil {
		a.Log.Error("a key on the token could not be destroyed yet; a tick goes on", "error", err)
	}
}

// destroyedObject is a key on the token that was destroyed for a version whose material goes.
type destroyedObject struct {
	id  string
	err error // why it was not
}

// destroyObject destroys the key of a version on the token, while the key's lock is free.
func (r *relocation) destroyObject(k *lifecycle.Key, v lifecycle.Version) error {
	if r.object.id == v.Object {
		return r.object.err
	}
	return r.lacks(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, wrapTime)
		defer cancel()
		r.object = destroyedObject{id: v.Object, err: r.store.Token.DestroyKey(ctx, v.Object, k.ID, v.Number)}
		return r.object.err
	})
}

// withoutObject destroys a private half on the token that is to go, before what is stored of it goes.
func (r *relocation) withoutObject(ctx context.Context, k *lifecycle.Key, v lifecycle.Version) (lifecycle.Version, error) {
	if v.Object == "" || lifecycle.KeepsPrivate(*k, v.Number) || lifecycle.LocationOf(*k, v.Number) == lifecycle.Erased {
		return v, nil
	}
	if err := r.destroyObject(k, v); err != nil {
		return v, err
	}
	v.Object = ""
	if err := r.store.Material.PutVersion(ctx, k.Name, v); err != nil {
		return v, err
	}
	r.read[entry{v.Number, envelope.PurposeOnline}] = v
	return v, nil
}

// erase leaves of a stored version what is no secret: its number, dates and fingerprint. A key on the token is destroyed before
// what is stored of it goes, so that it is never forgotten there.
func (r *relocation) erase(ctx context.Context, k *lifecycle.Key, v lifecycle.Version) error {
	if v.Object == "" {
		return errors.Join(r.eraseSealed(ctx, k.Name, v), r.store.Material.DropArchived(ctx, k.Name, v.Number))
	}
	if err := r.destroyObject(k, v); err != nil {
		return err
	}
	v.Sealed, v.Object = nil, ""
	return errors.Join(r.store.Material.DropArchived(ctx, k.Name, v.Number), r.store.Material.PutVersion(ctx, k.Name, v))
}

// Residents counts the keys whose versions are on the token, and the keys on the token that no version has any more.
func (w Wrapping) Residents(ctx context.Context) (keys, left int, err error) {
	pending, err := w.store.Objects.PendingObjects(ctx)
	if err != nil {
		return 0, 0, err
	}
	names, err := w.store.Keys.KeyNames(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		k, err := w.data.KeyOfMany(ctx, name)
		if errors.Is(err, refusal.ErrNotFound) || err == nil && k.Protection != lifecycle.Resident {
			continue
		}
		if err != nil {
			return keys, len(pending), err
		}
		has, err := w.hasObjects(ctx, k)
		if err != nil {
			return keys, len(pending), err
		}
		if has {
			keys++
		}
	}
	return keys, len(pending), nil
}

// hasObjects reports whether a key may have versions on the token: a destroyed one has until they are erased.
func (w Wrapping) hasObjects(ctx context.Context, k *lifecycle.Key) (bool, error) {
	if !k.Status.IsDestroyed() {
		return true, nil
	}
	left, err := w.store.Moves.Displaced(ctx, *k)
	return left != (lifecycle.Range{}), err
}

// levels is what a wrapper has that tells which of its key encryption keys an HSM keeps.
type levels interface {
	envelope.KEKWrapper
	kekHardware
	AnyHardware() bool
}

// protectionOf tells where the key of a version is, by what is stored of it; empty: it was destroyed, or nobody can tell. It
// reads nothing where no HSM keeps a key encryption key.
func (s *Session) protectionOf(ctx context.Context, k *lifecycle.Key, number int) lifecycle.Protection {
	at := lifecycle.LocationOf(*k, number)
	switch {
	case number == 0 || at == lifecycle.Erased:
		return ""
	case k.Protection == lifecycle.Resident:
		return lifecycle.Resident
	}
	one, _, err := s.data.Wrappers.Wrapper(ctx, envelope.PurposeOnline, false)
	if err != nil {
		return ""
	}
	w, ok := one.(levels)
	switch {
	case !ok:
		return ""
	case !w.AnyHardware():
		return lifecycle.Software
	}
	return s.levelOf(ctx, w, k, number)
}

func (s *Session) levelOf(ctx context.Context, w levels, k *lifecycle.Key, number int) lifecycle.Protection {
	for _, purpose := range []string{envelope.PurposeOnline, envelope.PurposeArchive} {
		v, err := s.store.Sealed.SealedVersion(ctx, locations[purpose], k.Name, number)
		if err != nil || len(v.Sealed) == 0 {
			continue
		}
		many := w
		if purpose == envelope.PurposeArchive {
			one, _, err := s.data.Wrappers.Wrapper(ctx, purpose, false)
			if err != nil {
				return ""
			}
			if many, _ = one.(levels); many == nil {
				return ""
			}
		}
		id, err := envelope.KEKOf(many, v.Sealed)
		switch {
		case err != nil:
			return ""
		case many.IsHardware(id):
			return lifecycle.HSMWrapped
		}
		return lifecycle.Software
	}
	return ""
}
