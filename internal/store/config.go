// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

const (
	kekPath         = "config/kek"
	archiveKEKPath  = "config/archive-kek"
	signingKeysPath = "config/custody"
	settingsPath    = "config/keys"
	governancePath  = "config/engine"
)

// KEK is a key encryption key of the software wrapper.
type KEK struct {
	ID      [16]byte
	Key     []byte `json:"-"` // 32 bytes; secret
	Created time.Time
}

// Format keeps the key out of logs and errors, whatever the verb.
func (k KEK) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "KEK %x [redacted]", k.ID[:]) }

// Keyring is what a mount wraps stored material with.
type Keyring struct {
	Instance string // random; names the mount's data for ever, also after a restore elsewhere
	Use      KEK    // for material in use
	Archive  KEK    // for archived material
}

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

// ErrNoArchiveKEK reports archived material without its key encryption key.
var ErrNoArchiveKEK = errors.New("config/archive-kek is missing: archived material cannot be read")

// Keyring returns the mount's keyring; found is false before the first key is made. A missing archive key is left
// empty: what is in use works without it.
func (r Repo) Keyring(ctx context.Context) (ring Keyring, found bool, err error) {
	instance, use, found, err := r.kek(ctx, kekPath)
	if err != nil || !found {
		return Keyring{}, false, err
	}
	_, archive, _, err := r.kek(ctx, archiveKEKPath)
	return Keyring{Instance: instance, Use: use, Archive: archive}, err == nil, err
}

func (r Repo) kek(ctx context.Context, path string) (instance string, kek KEK, found bool, err error) {
	var rec keyringRecord
	_, found, err = read(ctx, r, path, &rec)
	if err != nil || !found {
		return "", KEK{}, false, err
	}
	if len(rec.ID) != len(KEK{}.ID) || len(rec.Key) != 32 || rec.Instance == "" {
		return "", KEK{}, false, fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	return rec.Instance, KEK{ID: [16]byte(rec.ID), Key: rec.Key, Created: rec.Created}, true, nil
}

// CreateKeyring commits the keyring of a new mount and returns the one in force, which is another's where two
// requests came at once. The archive key is written first: config/kek is the commit point.
func (r Repo) CreateKeyring(ctx context.Context, ring Keyring) (Keyring, error) {
	unlock, err := r.lock(ctx, &r.s.mount, kekPath)
	if err != nil {
		return Keyring{}, err
	}
	defer unlock()
	if existing, found, err := r.Keyring(ctx); err != nil || found {
		return existing, err
	}
	names, err := r.KeyNames(ctx)
	if err != nil {
		return Keyring{}, err
	}
	if len(names) > 0 {
		return Keyring{}, errNoKeyring
	}
	if err := r.putKEK(ctx, archiveKEKPath, ring.Instance, ring.Archive); err != nil {
		return Keyring{}, err
	}
	return ring, r.putKEK(ctx, kekPath, ring.Instance, ring.Use)
}

func (r Repo) putKEK(ctx context.Context, path, instance string, kek KEK) error {
	return r.put(ctx, path, keyringRecord{Schema: schema, Instance: instance, ID: kek.ID[:], Key: kek.Key, Created: kek.Created}, nil)
}

// errNoInstance reports a mount that has no key yet.
var errNoInstance = lifecycle.Refusedf("the mount has no keys yet")

// instance returns the identity of the mount's data; it never changes, so it is read once.
func (r Repo) instance(ctx context.Context) (string, error) {
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

// settingsRecord is config/keys.
type settingsRecord struct {
	Schema        int  `json:"schema"`
	DisableUpsert bool `json:"disable_upsert"`
}

// DisableUpsert reports whether encrypt must not create keys.
func (r Repo) DisableUpsert(ctx context.Context) (bool, error) {
	var rec settingsRecord
	_, _, err := read(ctx, r, settingsPath, &rec)
	return rec.DisableUpsert, err
}

// SetDisableUpsert sets whether encrypt must not create keys. Setting what is set writes nothing.
func (r Repo) SetDisableUpsert(ctx context.Context, disable bool) error {
	unlock, err := r.lock(ctx, &r.s.mount, settingsPath)
	if err != nil {
		return err
	}
	defer unlock()
	var rec settingsRecord
	rest, _, err := read(ctx, r, settingsPath, &rec)
	if err != nil || rec.DisableUpsert == disable {
		return err
	}
	return r.put(ctx, settingsPath, settingsRecord{Schema: schema, DisableUpsert: disable}, rest)
}

// governanceRecord is config/engine.
type governanceRecord struct {
	Schema        int    `json:"schema"`
	RequirePolicy bool   `json:"require_policy"`
	DefaultPolicy string `json:"default_policy"`
}

// Governance returns how keys come under a policy.
func (r Repo) Governance(ctx context.Context) (lifecycle.Governance, error) {
	g, _, err := r.governance(ctx)
	return g, err
}

func (r Repo) governance(ctx context.Context) (lifecycle.Governance, unknown, error) {
	var rec governanceRecord
	rest, _, err := read(ctx, r, governancePath, &rec)
	return lifecycle.Governance{RequirePolicy: rec.RequirePolicy, DefaultPolicy: rec.DefaultPolicy}, rest, err
}

// SetGovernance commits what change makes of it, as one Put. Setting what is set writes nothing. The default policy is
// held against deletion until the record says that it is the default; the error is [lifecycle.ErrInvalid] where there
// is none of the name.
func (r Repo) SetGovernance(ctx context.Context, change func(lifecycle.Governance) lifecycle.Governance) (lifecycle.Governance, error) {
	unlock, err := r.lock(ctx, &r.s.mount, governancePath)
	if err != nil {
		return lifecycle.Governance{}, err
	}
	defer unlock()
	current, rest, err := r.governance(ctx)
	if err != nil {
		return current, err
	}
	next := change(current)
	if next == current {
		return next, nil
	}
	if policy := next.DefaultPolicy; policy != "" && policy != current.DefaultPolicy {
		unlock, err := r.s.policies.shared(ctx, policy)
		if err != nil {
			return current, err
		}
		defer unlock()
		_, err = r.Policy(ctx, policy)
		switch {
		case errors.Is(err, lifecycle.ErrNotFound):
			return current, lifecycle.InvalidField("default_policy", policy, "no policy has this name")
		case errors.Is(err, lifecycle.ErrUnreadable):
			return current, lifecycle.InvalidField("default_policy", policy, err.Error())
		case err != nil:
			return current, err
		}
	}
	rec := governanceRecord{Schema: schema, RequirePolicy: next.RequirePolicy, DefaultPolicy: next.DefaultPolicy}
	return next, r.put(ctx, governancePath, rec, rest)
}

// IsKeyring reports whether the storage path is that of the keyring.
func IsKeyring(path string) bool { return path == kekPath || path == archiveKEKPath }
