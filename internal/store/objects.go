// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const objectIntents = "intents/objects/"

// objectRecord is intents/objects/<CKA_ID>: a key on the token that may belong to no version, because the act that has it made
// did not commit yet, or because it is to be destroyed. It is there before the key is, and until the key is gone.
type objectRecord struct {
	Schema  int       `json:"schema"`
	Key     string    `json:"key"`
	KeyID   string    `json:"key_id"`
	Version int       `json:"version"`
	Created time.Time `json:"created"`
	GivenUp bool      `json:"given_up"`
}

// PendingObjects returns the ids of the keys on the token that may belong to no version.
func (r Objects) PendingObjects(ctx context.Context) ([]string, error) {
	return r.list(ctx, objectIntents)
}

// PutObject notes one.
func (r Objects) PutObject(ctx context.Context, o lifecycle.Object) error {
	rec := objectRecord{Schema: schema, Key: o.Key, KeyID: o.KeyID, Version: o.Version, Created: o.Created, GivenUp: o.GivenUp}
	return r.put(ctx, objectIntents+o.ID, rec, nil)
}

// DropObject notes that a key on the token belongs to a version, or is gone.
func (r Objects) DropObject(ctx context.Context, id string) error {
	return r.delete(ctx, objectIntents+id)
}

// GiveUpObject finds out whether a key on the token is to be destroyed. One that a version has is dropped; one that was noted
// after the time is left alone, as the act that has it made may go on; any other is given up, and no act can commit it any
// more. Destroy is false where there is nothing to destroy.
func (r Objects) GiveUpObject(ctx context.Context, id string, after time.Time) (o lifecycle.Object, destroy bool, err error) {
	o, found, err := r.object(ctx, id)
	if err != nil || !found || o.GivenUp {
		return o, found, err
	}
	unlock, err := r.lock(ctx, &r.s.keys, o.Key)
	if err != nil {
		return o, false, err
	}
	defer unlock()
	if o, found, err = r.object(ctx, id); err != nil || !found {
		return o, false, err
	}
	committed, err := r.committed(ctx, o)
	switch {
	case err != nil:
		return o, false, err
	case committed:
		return o, false, r.DropObject(ctx, id)
	case o.Created.After(after):
		return o, false, nil
	}
	if err := r.dropUncommitted(ctx, o); err != nil {
		return o, false, err
	}
	o.GivenUp = true
	return o, true, r.PutObject(ctx, o)
}

// dropUncommitted removes the version that an act stored and did not commit. The caller holds the lock of the key.
func (r Objects) dropUncommitted(ctx context.Context, o lifecycle.Object) error {
	v, err := Versions(r).Version(ctx, o.Key, o.Version)
	switch {
	case errors.Is(err, refusal.ErrNotFound), errors.Is(err, ErrCorrupt), err == nil && v.Object != o.ID:
		return nil
	case err != nil:
		return err
	}
	return r.delete(ctx, versionPath(o.Key, o.Version))
}

func (r Objects) object(ctx context.Context, id string) (o lifecycle.Object, found bool, err error) {
	var rec objectRecord
	_, found, err = read(ctx, r.conn, objectIntents+id, &rec)
	return lifecycle.Object{ID: id, Key: rec.Key, KeyID: rec.KeyID, Version: rec.Version, Created: rec.Created, GivenUp: rec.GivenUp}, found, err
}

// committed reports whether a version of a key has it. The caller holds the lock of the key.
func (r Objects) committed(ctx context.Context, o lifecycle.Object) (bool, error) {
	k, err := Keys(r).Key(ctx, o.Key)
	switch {
	case errors.Is(err, refusal.ErrNotFound):
		return false, nil
	case err != nil || k.ID != o.KeyID || k.Latest < o.Version:
		return false, err
	}
	v, err := Versions(r).Version(ctx, o.Key, o.Version)
	if errors.Is(err, refusal.ErrNotFound) {
		return false, nil
	}
	return v.KeyID == o.KeyID && v.Object == o.ID, err
}

// claim refuses to commit a version whose key on the token was given up. The caller holds the lock of the key.
func (r Objects) claim(ctx context.Context, v *lifecycle.Version) error {
	if v == nil || v.Object == "" {
		return nil
	}
	o, found, err := r.object(ctx, v.Object)
	if err == nil && (!found || o.GivenUp) {
		err = refusal.Refusedf("the key that the token made for version %d was given up meanwhile, as the request took too long: try again", v.Number)
	}
	return err
}

// giveUpAll gives up the keys on the token of a key that is being deleted, with the versions that have them. The caller holds
// the lock of the key.
func (r Objects) giveUpAll(ctx context.Context, name string, limit *int) (left bool, err error) {
	numbers, err := r.list(ctx, versionsPrefix+name+"/")
	if err != nil {
		return true, err
	}
	for _, text := range numbers {
		if *limit == 0 {
			return true, nil
		}
		*limit--
		if err := r.giveUp(ctx, name, text); err != nil {
			return true, err
		}
	}
	return false, nil
}

func (r Objects) giveUp(ctx context.Context, name, text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil //nolint:nilerr // it is no version; its folder goes as a whole
	}
	v, err := Versions(r).Version(ctx, name, n)
	switch {
	case errors.Is(err, refusal.ErrNotFound), errors.Is(err, ErrCorrupt):
		return nil
	case err != nil:
		return err
	}
	if v.Object != "" {
		o := lifecycle.Object{ID: v.Object, Key: name, KeyID: v.KeyID, Version: n, Created: v.Created, GivenUp: true}
		if err := r.PutObject(ctx, o); err != nil {
			return err
		}
	}
	return r.delete(ctx, versionPath(name, n))
}
