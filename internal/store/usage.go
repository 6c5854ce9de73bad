// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

const (
	usagePrefix = "usage/"
	clockPath   = "config/clock"
)

// usageRecord is usage/<name>: denied uses by version.
type usageRecord struct {
	Schema int                       `json:"schema"`
	Denied map[int]lifecycle.Denials `json:"denied"`
}

// Denied returns the denied uses of a key by version.
func (r Repo) Denied(ctx context.Context, name string) (map[int]lifecycle.Denials, error) {
	var rec usageRecord
	_, _, err := read(ctx, r, usagePrefix+name, &rec)
	return rec.Denied, err
}

// AddDenied adds denied uses to those of the key.
func (r Repo) AddDenied(ctx context.Context, name string, more map[int]lifecycle.Denials) error {
	defer r.s.keys.exclusive(name)()
	if _, err := r.Key(ctx, name); err != nil {
		if errors.Is(err, lifecycle.ErrNotFound) { // deleted meanwhile: the next key of the name starts anew
			return nil
		}
		return err
	}
	var rec usageRecord
	rest, _, err := read(ctx, r, usagePrefix+name, &rec)
	if err != nil {
		return err
	}
	if rec.Denied == nil {
		rec.Denied = map[int]lifecycle.Denials{}
	}
	for v, d := range more {
		rec.Denied[v] = rec.Denied[v].Plus(d)
	}
	rec.Schema = schema
	return r.put(ctx, usagePrefix+name, rec, rest)
}

type clockRecord struct {
	Schema int `json:"schema"`
	lifecycle.Clock
}

// Clock returns what the clock guard remembers; zero on a new mount.
func (r Repo) Clock(ctx context.Context) (lifecycle.Clock, error) {
	var rec clockRecord
	_, _, err := read(ctx, r, clockPath, &rec)
	return rec.Clock, err
}

// SetClock stores what the clock guard is to remember.
func (r Repo) SetClock(ctx context.Context, c lifecycle.Clock) error {
	var rec clockRecord
	rest, _, err := read(ctx, r, clockPath, &rec)
	if err != nil {
		return err
	}
	return r.put(ctx, clockPath, clockRecord{Schema: schema, Clock: c}, rest)
}
