// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

const rewrapIntents = "intents/rewrap/"

// rewrapRecord is intents/rewrap/<purpose>: the material of the purpose is being wrapped with another key encryption key.
// While there is none, all of it is wrapped with the active one.
type rewrapRecord struct {
	Schema       int                 `json:"schema"`
	KEK          []byte              `json:"kek"`
	Run          int                 `json:"run"`
	Started      time.Time           `json:"started"`
	Pass         int                 `json:"pass"`
	PassBegan    time.Time           `json:"pass_began"`
	After        string              `json:"after"`
	AfterVersion int                 `json:"after_version"`
	Found        int                 `json:"found"`
	Done         int                 `json:"done"`
	Failed       int                 `json:"failed"`
	Failures     []rewrapFailureJSON `json:"failures"`
	Resume       time.Time           `json:"resume"`
}

type rewrapFailureJSON struct {
	Key     string `json:"key"`
	Version int    `json:"version"`
	Why     string `json:"error"`
}

// PendingRewraps returns the purposes of which not all material may be wrapped with the active key encryption key.
func (r Rewraps) PendingRewraps(ctx context.Context) ([]string, error) {
	return r.list(ctx, rewrapIntents)
}

// Rewrap returns the progress of a purpose; found is false where there is nothing to do. One that is damaged is read as one
// that has to begin anew: of no key encryption key.
func (r Rewraps) Rewrap(ctx context.Context, purpose string) (p lifecycle.Rewrapping, found bool, err error) {
	p, _, found, err = r.rewrap(ctx, purpose)
	return p, found, err
}

func (r Rewraps) rewrap(ctx context.Context, purpose string) (p lifecycle.Rewrapping, rest unknown, found bool, err error) {
	var rec rewrapRecord
	rest, found, err = read(ctx, r.conn, rewrapIntents+purpose, &rec)
	damaged := errors.Is(err, ErrCorrupt) || err == nil && found && len(rec.KEK) != len(p.KEK)
	switch {
	case damaged:
		return lifecycle.Rewrapping{Purpose: purpose}, nil, true, nil
	case err != nil || !found:
		return p, nil, false, err
	}
	p = lifecycle.Rewrapping{
		Purpose: purpose, KEK: [16]byte(rec.KEK), Run: rec.Run, Started: rec.Started, Pass: rec.Pass, PassBegan: rec.PassBegan,
		After: rec.After, Version: rec.AfterVersion, Found: rec.Found, Done: rec.Done, Failed: rec.Failed, Resume: rec.Resume,
	}
	for _, f := range rec.Failures {
		p.Failures = append(p.Failures, lifecycle.RewrapFailure(f))
	}
	return p, rest, true, nil
}

// BeginRewrap notes that kek is to become the active key encryption key of a purpose, and that all material of the purpose is
// to be wrapped with it; zero: with whichever is active five minutes later. It has to come back before the key becomes the
// active one, and that within five minutes: material that nobody wraps anew would keep the key before from ever being
// destroyed. Where the key does not become the active one, what was noted does no harm.
func (r Rewraps) BeginRewrap(ctx context.Context, purpose string, kek [16]byte) error {
	unlock, err := r.lock(ctx, &r.s.mount, rewrapIntents+purpose)
	if err != nil {
		return err
	}
	defer unlock()
	last, rest, _, err := r.rewrap(ctx, purpose)
	if err != nil {
		return err
	}
	return r.putRewrap(ctx, lifecycle.BeginRewrap(last, purpose, kek, r.s.now()), rest)
}

// SaveRewrap stores the progress of a purpose. Stale reports that it was begun anew meanwhile, and nothing was stored.
func (r Rewraps) SaveRewrap(ctx context.Context, p lifecycle.Rewrapping) (stale bool, err error) {
	return r.replaceRewrap(ctx, p, func(rest unknown) error { return r.putRewrap(ctx, p, rest) })
}

// FinishRewrap notes that all material of a purpose is wrapped with the key of the progress. Stale is that of SaveRewrap.
func (r Rewraps) FinishRewrap(ctx context.Context, p lifecycle.Rewrapping) (stale bool, err error) {
	return r.replaceRewrap(ctx, p, func(unknown) error { return r.delete(ctx, rewrapIntents+p.Purpose) })
}

func (r Rewraps) replaceRewrap(ctx context.Context, p lifecycle.Rewrapping, write func(rest unknown) error) (stale bool, err error) {
	unlock, err := r.lock(ctx, &r.s.mount, rewrapIntents+p.Purpose)
	if err != nil {
		return false, err
	}
	defer unlock()
	now, rest, _, err := r.rewrap(ctx, p.Purpose)
	if err != nil {
		return false, err
	}
	if now.Run != p.Run || now.KEK != p.KEK {
		return true, nil
	}
	return false, write(rest)
}

func (r Rewraps) putRewrap(ctx context.Context, p lifecycle.Rewrapping, rest unknown) error {
	failures := make([]rewrapFailureJSON, len(p.Failures))
	for i, f := range p.Failures {
		failures[i] = rewrapFailureJSON(f)
	}
	return r.put(ctx, rewrapIntents+p.Purpose, rewrapRecord{
		Schema: schema, KEK: p.KEK[:], Run: p.Run, Started: p.Started, Pass: p.Pass, PassBegan: p.PassBegan,
		After: p.After, AfterVersion: p.Version, Found: p.Found, Done: p.Done, Failed: p.Failed, Failures: failures, Resume: p.Resume,
	}, rest)
}
