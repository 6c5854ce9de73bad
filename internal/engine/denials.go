// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// denials counts denied uses in memory; the tick stores them. A crash loses those of the last minute.
type denials struct {
	mu      sync.Mutex
	byKey   map[string]byVersion
	storing map[string]byVersion // taken to be stored, and not known to be
}

// byVersion holds the denied uses of a key.
type byVersion map[int]lifecycle.Denials

func (b byVersion) plus(more byVersion) byVersion {
	sum := maps.Clone(b)
	if sum == nil {
		sum = byVersion{}
	}
	for version, denied := range more {
		sum[version] = sum[version].Plus(denied)
	}
	return sum
}

// add counts denied uses of a key.
func (d *denials) add(name string, more map[int]lifecycle.Denials) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byKey == nil {
		d.byKey, d.storing = map[string]byVersion{}, map[string]byVersion{}
	}
	if d.byKey[name] == nil {
		d.byKey[name] = byVersion{}
	}
	for version, denied := range more {
		d.byKey[name][version] = d.byKey[name][version].Plus(denied)
	}
}

// take returns what was counted of a key, to be stored; nothing while somebody else is storing it.
func (d *denials) take(name string) byVersion {
	d.mu.Lock()
	defer d.mu.Unlock()
	counted, busy := d.byKey[name], len(d.storing[name]) > 0
	if busy || len(counted) == 0 {
		return nil
	}
	delete(d.byKey, name)
	d.storing[name] = counted
	return counted
}

// took ends what take began; left could not be stored.
func (d *denials) took(name string, left byVersion) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.storing, name)
	if len(left) > 0 {
		d.byKey[name] = d.byKey[name].plus(left)
	}
}

// has reports whether a use of the version was counted that nobody has taken to be stored yet.
func (d *denials) has(name string, version int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byKey[name][version].Count > 0
}

// known returns what of a key may not be stored yet. While it is being stored it may be both.
func (d *denials) known(name string) byVersion {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.storing[name].plus(d.byKey[name])
}

// forget drops what was counted of an earlier key of the name.
func (d *denials) forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byKey, name)
}

func (d *denials) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := make([]string, 0, len(d.byKey))
	for name := range d.byKey {
		names = append(names, name)
	}
	return names
}

// flushDenied stores what was counted of a key. What could not be stored stays counted.
func (e *Engine) flushDenied(ctx context.Context, r Repo, name string) error {
	counted := e.denied.take(name)
	if len(counted) == 0 {
		return nil
	}
	left, err := r.AddDenied(ctx, name, counted)
	e.denied.took(name, left)
	return err
}

// deniedUses returns when uses of a version were denied, of version 0 those of all versions, whether that is stored yet or
// not. A decision that a denied use can hold back asks here, under the lock of the key.
func (e *Engine) deniedUses(ctx context.Context, r Repo, k lifecycle.Key, version int) (byVersion, error) {
	of := lifecycle.Of(version)
	if version == 0 {
		of = k.All()
	}
	known := e.denied.known(k.Name) // before the stored ones: what is stored meanwhile is in either
	stored, err := r.Denied(ctx, k, of)
	return known.plus(stored), err
}

// last returns when a use of the version was last denied; of version 0, one of any version.
func (b byVersion) last(version int) time.Time {
	if version != 0 {
		return b[version].Last
	}
	var last time.Time
	for _, denied := range b {
		if denied.Last.After(last) {
			last = denied.Last
		}
	}
	return last
}
