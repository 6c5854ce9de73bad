// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const (
	kekPath        = "config/kek"
	archiveKEKPath = "config/archive-kek"
)

// keyringRecord is config/kek and, with the same instance, config/archive-kek: apart, so that archived material can
// be made unreadable without touching the rest.
type keyringRecord struct {
	Schema   int       `json:"schema"`
	Instance string    `json:"instance"`
	ID       []byte    `json:"id"`
	Key      []byte    `json:"key"`
	Created  time.Time `json:"created"`
}

// errNoKeyring reports keys without the keyring they were sealed with. A new one would hide the loss.
var errNoKeyring = errors.New("config/kek is missing but keys exist: restore the storage entry")

// Keyring returns the mount's keyring; found is false before the first key is made. A missing archive key is left
// empty: what is in use works without it.
func (r KEKs) Keyring(ctx context.Context) (ring keyring.KEKs, found bool, err error) {
	instance, use, found, err := r.kek(ctx, kekPath)
	if err != nil || !found {
		return keyring.KEKs{}, false, err
	}
	_, archive, _, err := r.kek(ctx, archiveKEKPath)
	return keyring.KEKs{Instance: instance, Use: use, Archive: archive}, err == nil, err
}

func (r KEKs) kek(ctx context.Context, path string) (instance string, kek keyring.KEK, found bool, err error) {
	var rec keyringRecord
	_, found, err = read(ctx, r.conn, path, &rec)
	if err != nil || !found {
		return "", keyring.KEK{}, false, err
	}
	if len(rec.ID) != len(keyring.KEK{}.ID) || len(rec.Key) != 32 || rec.Instance == "" {
		return "", keyring.KEK{}, false, fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	return rec.Instance, keyring.KEK{ID: [16]byte(rec.ID), Key: rec.Key, Created: rec.Created}, true, nil
}

// CreateKeyring commits the keyring of a new mount and returns the one in force, which is another's where two
// requests came at once. The archive key is written first: config/kek is the commit point.
func (r KEKs) CreateKeyring(ctx context.Context, ring keyring.KEKs) (keyring.KEKs, error) {
	unlock, err := r.lock(ctx, &r.s.mount, kekPath)
	if err != nil {
		return keyring.KEKs{}, err
	}
	defer unlock()
	if existing, found, err := r.Keyring(ctx); err != nil || found {
		return existing, err
	}
	names, err := r.list(ctx, keysPrefix)
	if err != nil {
		return keyring.KEKs{}, err
	}
	if len(names) > 0 {
		return keyring.KEKs{}, errNoKeyring
	}
	if err := r.putKEK(ctx, archiveKEKPath, ring.Instance, ring.Archive); err != nil {
		return keyring.KEKs{}, err
	}
	return ring, r.putKEK(ctx, kekPath, ring.Instance, ring.Use)
}

func (r KEKs) putKEK(ctx context.Context, path, instance string, kek keyring.KEK) error {
	return r.put(ctx, path, keyringRecord{Schema: schema, Instance: instance, ID: kek.ID[:], Key: kek.Key, Created: kek.Created}, nil)
}

// errNoInstance reports a mount that has no key yet.
var errNoInstance = refusal.Refusedf("the mount has no keys yet")

// instance returns the identity of the mount's data; it never changes, so it is read once.
func (r KEKs) instance(ctx context.Context) (string, error) {
	if known := r.s.identity.Load(); known != nil {
		return *known, nil
	}
	instance, _, found, err := r.kek(ctx, kekPath)
	if err == nil && !found {
		err = errNoInstance
	}
	if err != nil {
		return "", err
	}
	r.s.identity.Store(&instance)
	return instance, nil
}

// IsMountRecord reports whether acts on the settings of the mount commit with what is at the storage path.
func IsMountRecord(path string) bool { return slices.Contains(mountRecords, path) }

// IsKeyring reports whether the storage path is that of the keyring.
func IsKeyring(path string) bool { return path == kekPath || path == archiveKEKPath }
