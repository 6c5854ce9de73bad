// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

const (
	settingsPath   = "config/keys"
	governancePath = "config/engine"
	clockPath      = "config/clock"
)

// settingsRecord is config/keys.
type settingsRecord struct {
	Schema        int  `json:"schema"`
	DisableUpsert bool `json:"disable_upsert"`
}

// DisableUpsert reports whether encrypt must not create keys.
func (r Settings) DisableUpsert(ctx context.Context) (bool, error) {
	var rec settingsRecord
	_, _, err := read(ctx, r.conn, settingsPath, &rec)
	return rec.DisableUpsert, err
}

// SetDisableUpsert sets whether encrypt must not create keys. Setting what is set writes nothing.
func (r Settings) SetDisableUpsert(ctx context.Context, disable bool) error {
	unlock, err := r.lock(ctx, &r.s.mount, settingsPath)
	if err != nil {
		return err
	}
	defer unlock()
	var rec settingsRecord
	rest, _, err := read(ctx, r.conn, settingsPath, &rec)
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
func (r Settings) Governance(ctx context.Context) (lifecycle.Governance, error) {
	g, _, err := r.governance(ctx)
	return g, err
}

func (r Settings) governance(ctx context.Context) (lifecycle.Governance, unknown, error) {
	var rec governanceRecord
	rest, _, err := read(ctx, r.conn, governancePath, &rec)
	return lifecycle.Governance{RequirePolicy: rec.RequirePolicy, DefaultPolicy: rec.DefaultPolicy}, rest, err
}

// SetGovernance commits what change makes of it, as one Put. Setting what is set writes nothing. The default policy is
// held against deletion until the record says that it is the default; the error is that of [Policies.Policy] where it cannot
// be one.
func (r Settings) SetGovernance(ctx context.Context, change func(lifecycle.Governance) lifecycle.Governance) (lifecycle.Governance, error) {
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
		if _, err := Policies(r).Policy(ctx, policy); err != nil {
			return current, err
		}
	}
	rec := governanceRecord{Schema: schema, RequirePolicy: next.RequirePolicy, DefaultPolicy: next.DefaultPolicy}
	return next, r.put(ctx, governancePath, rec, rest)
}

type clockRecord struct {
	Schema int `json:"schema"`
	lifecycle.Clock
}

// Clock returns what the clock guard remembers; zero on a new mount.
func (r Settings) Clock(ctx context.Context) (lifecycle.Clock, error) {
	var rec clockRecord
	_, _, err := read(ctx, r.conn, clockPath, &rec)
	return rec.Clock, err
}

// SetClock stores what the clock guard is to remember.
func (r Settings) SetClock(ctx context.Context, c lifecycle.Clock) error {
	var rec clockRecord
	rest, _, err := read(ctx, r.conn, clockPath, &rec)
	if err != nil {
		return err
	}
	return r.put(ctx, clockPath, clockRecord{Schema: schema, Clock: c}, rest)
}
