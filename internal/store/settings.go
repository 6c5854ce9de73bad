// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

const (
	settingsPath   = "config/keys"
	governancePath = "config/engine"
	clockPath      = "config/clock"
	cachePath      = "config/cache"
)

// settingsRecord is config/keys.
type settingsRecord struct {
	Schema        int      `json:"schema"`
	DisableUpsert bool     `json:"disable_upsert"`
	PublicJWKS    []string `json:"public_jwks"`
	journaled
}

// DisableUpsert reports whether encrypt must not create keys.
func (r Settings) DisableUpsert(ctx context.Context) (bool, error) {
	s, err := r.KeysSettings(ctx)
	return s.DisableUpsert, err
}

// KeysSettings returns those of the mount for all of its keys.
func (r Settings) KeysSettings(ctx context.Context) (lifecycle.KeysSettings, error) {
	s, _, err := r.keysSettings(ctx)
	return s, err
}

func (r Settings) keysSettings(ctx context.Context) (lifecycle.KeysSettings, unknown, error) {
	var rec settingsRecord
	rest, _, err := read(ctx, r.conn, settingsPath, &rec)
	return lifecycle.KeysSettings{DisableUpsert: rec.DisableUpsert, PublicJWKS: rec.PublicJWKS}, rest, err
}

// SetKeysSettings commits what change makes of them, as one Put between the two custody records of the event. Setting what is set
// writes nothing. An error of change comes back as it is.
func (r Settings) SetKeysSettings(
	ctx context.Context, change func(lifecycle.KeysSettings) (lifecycle.KeysSettings, lifecycle.Event, error),
) (lifecycle.KeysSettings, error) {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return lifecycle.KeysSettings{}, err
	}
	defer unlock()
	var next lifecycle.KeysSettings
	var event lifecycle.Event
	var rest unknown
	write, err := r.decided(ctx, func() (write bool, err error) {
		var current lifecycle.KeysSettings
		if current, rest, err = r.keysSettings(ctx); err != nil {
			return false, err
		}
		next, event, err = change(current)
		return !next.Equal(current), err
	})
	if err != nil || !write {
		return next, err
	}
	return next, Journals(r).onMount(ctx, event, func(ctx context.Context, begun journaled) error {
		rec := settingsRecord{Schema: schema, DisableUpsert: next.DisableUpsert, PublicJWKS: next.PublicJWKS, journaled: begun}
		return r.put(ctx, settingsPath, rec, rest)
	})
}

// cacheRecord is config/cache.
type cacheRecord struct {
	Schema int `json:"schema"`
	Size   int `json:"size"`
	journaled
}

// IsCacheSize reports whether the storage path is that of the size of the cache.
func IsCacheSize(path string) bool { return path == cachePath }

// IsGovernance reports whether the storage path is that of how keys come under a policy, and are watched.
func IsGovernance(path string) bool { return path == governancePath }

// CacheSize returns how many versions of keys are to be kept in memory; 0: as many as are by default.
func (r Settings) CacheSize(ctx context.Context) (int, error) {
	var rec cacheRecord
	_, _, err := read(ctx, r.conn, cachePath, &rec)
	return rec.Size, err
}

// SetCacheSize sets it, between the two custody records of the event. Setting what is set writes nothing.
func (r Settings) SetCacheSize(ctx context.Context, size int, event func(was int) lifecycle.Event) error {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return err
	}
	defer unlock()
	var rec cacheRecord
	var rest unknown
	write, err := r.decided(ctx, func() (write bool, err error) {
		rec = cacheRecord{}
		rest, _, err = read(ctx, r.conn, cachePath, &rec)
		return rec.Size != size, err
	})
	if err != nil || !write {
		return err
	}
	return Journals(r).onMount(ctx, event(rec.Size), func(ctx context.Context, begun journaled) error {
		return r.put(ctx, cachePath, cacheRecord{Schema: schema, Size: size, journaled: begun}, rest)
	})
}

// governanceRecord is config/engine.
type governanceRecord struct {
	Schema        int    `json:"schema"`
	RequirePolicy bool   `json:"require_policy"`
	DefaultPolicy string `json:"default_policy"`

	// What follows is left out where it is the default: the record of a mount of before is as ever.
	LedgerOff   bool          `json:"access_ledger_off,omitempty"`
	ReviewEvery time.Duration `json:"access_review_every,omitempty"` // nanoseconds
	Reviewed    *time.Time    `json:"access_reviewed,omitempty"`

	Scrub        int  `json:"scrub,omitempty"` // -1: none
	HealthPublic bool `json:"health_public,omitempty"`
	journaled
}

// Governance returns how keys come under a policy.
func (r Settings) Governance(ctx context.Context) (policy.Governance, error) {
	g, _, err := r.governance(ctx)
	return g, err
}

func (r Settings) governance(ctx context.Context) (policy.Governance, unknown, error) {
	var rec governanceRecord
	rest, _, err := read(ctx, r.conn, governancePath, &rec)
	g := policy.Governance{
		RequirePolicy: rec.RequirePolicy, DefaultPolicy: rec.DefaultPolicy, LedgerOff: rec.LedgerOff, ReviewEvery: rec.ReviewEvery,
		Scrub: rec.Scrub, HealthPublic: rec.HealthPublic,
	}
	if rec.Reviewed != nil {
		g.Reviewed = *rec.Reviewed
	}
	return g, rest, err
}

// SetGovernance commits what change makes of it, as one Put between the two custody records of the event. Setting what is set writes nothing. The default policy is
// held against deletion until the record says that it is the default; the error is that of [Policies.Policy] where it cannot
// be one.
func (r Settings) SetGovernance(
	ctx context.Context, change func(policy.Governance) (policy.Governance, lifecycle.Event, error),
) (policy.Governance, error) {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return policy.Governance{}, err
	}
	defer unlock()
	var current, next policy.Governance
	var event lifecycle.Event
	var rest unknown
	held := func() {}
	write, err := r.decided(ctx, func() (write bool, err error) {
		if current, rest, err = r.governance(ctx); err != nil {
			return false, err
		}
		if next, event, err = change(current); err != nil {
			return false, err
		}
		held()
		held, err = r.holdDefault(ctx, current.DefaultPolicy, next.DefaultPolicy)
		return next != current, err
	})
	defer func() { held() }()
	switch {
	case err != nil:
		return current, err
	case !write:
		return next, nil
	}
	return next, Journals(r).onMount(ctx, event, func(ctx context.Context, begun journaled) error {
		rec := governanceRecord{
			Schema: schema, RequirePolicy: next.RequirePolicy, DefaultPolicy: next.DefaultPolicy,
			LedgerOff: next.LedgerOff, ReviewEvery: next.ReviewEvery, Scrub: next.Scrub, HealthPublic: next.HealthPublic, journaled: begun,
		}
		if !next.Reviewed.IsZero() {
			rec.Reviewed = &next.Reviewed
		}
		return r.put(ctx, governancePath, rec, rest)
	})
}

// holdDefault holds a policy that becomes the default against deletion until it is let go.
func (r Settings) holdDefault(ctx context.Context, was, policy string) (letGo func(), err error) {
	if policy == "" || policy == was {
		return func() {}, nil
	}
	letGo, err = r.s.policies.shared(ctx, policy)
	if err != nil {
		return func() {}, err
	}
	_, err = Policies(r).Policy(ctx, policy)
	return letGo, err
}

// clockRecord is config/clock.
type clockRecord struct {
	Schema int `json:"schema"`
	lifecycle.Clock
	journaled
}

// Clock returns what the clock guard remembers; zero on a new mount.
func (r Settings) Clock(ctx context.Context) (lifecycle.Clock, error) {
	var rec clockRecord
	_, _, err := read(ctx, r.conn, clockPath, &rec)
	return rec.Clock, err
}

// SetClock stores what the clock guard is to remember, as a tick has seen it: no act that custody keeps.
func (r Settings) SetClock(ctx context.Context, c lifecycle.Clock) error {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return err
	}
	defer unlock()
	var rec clockRecord
	rest, _, err := read(ctx, r.conn, clockPath, &rec)
	if err != nil {
		return err
	}
	return r.put(ctx, clockPath, clockRecord{Schema: schema, Clock: c, journaled: rec.journaled}, rest)
}

// AcknowledgeClock stores what the clock guard is to remember because an operator says so, between the two custody records of
// the event. An error of decide comes back as it is.
func (r Settings) AcknowledgeClock(ctx context.Context, c lifecycle.Clock, decide func() (lifecycle.Event, error)) error {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return err
	}
	defer unlock()
	var event lifecycle.Event
	var rest unknown
	if _, err := r.decided(ctx, func() (write bool, err error) {
		var rec clockRecord
		if rest, _, err = read(ctx, r.conn, clockPath, &rec); err != nil {
			return false, err
		}
		event, err = decide()
		return true, err
	}); err != nil {
		return err
	}
	return Journals(r).onMount(ctx, event, func(ctx context.Context, begun journaled) error {
		return r.put(ctx, clockPath, clockRecord{Schema: schema, Clock: c, journaled: begun}, rest)
	})
}
