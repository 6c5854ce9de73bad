// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

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
	byKey   map[string]Denied
	storing map[string]Denied // taken to be stored, and not known to be
}

// Denied are the denied uses of a key, by version.
type Denied map[int]lifecycle.Denials

func (d Denied) plus(more Denied) Denied {
	sum := maps.Clone(d)
	if sum == nil {
		sum = Denied{}
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
		d.byKey, d.storing = map[string]Denied{}, map[string]Denied{}
	}
	if d.byKey[name] == nil {
		d.byKey[name] = Denied{}
	}
	for version, denied := range more {
		d.byKey[name][version] = d.byKey[name][version].Plus(denied)
	}
}

// take returns what was counted of a key, to be stored; nothing while somebody else is storing it.
func (d *denials) take(name string) Denied {
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
func (d *denials) took(name string, left Denied) {
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
func (d *denials) known(name string) Denied {
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

// DeniedKeys returns the names of keys of which denied uses were counted that are not stored yet.
func (p *Plane) DeniedKeys() []string { return p.denied.names() }

// ForgetDenied drops what was counted of an earlier key of the name.
func (p *Plane) ForgetDenied(name string) { p.denied.forget(name) }

// StoreDenied stores what was counted of a key. What could not be stored stays counted.
func (s *Session) StoreDenied(ctx context.Context, name string) error {
	counted := s.plane.denied.take(name)
	if len(counted) == 0 {
		return nil
	}
	left, err := s.Denials.AddDenied(ctx, name, counted)
	s.plane.denied.took(name, left)
	return err
}

// DeniedUses returns when uses of a version were denied, of version 0 those of all versions. A decision that a denied use
// can hold back asks here, under the lock of the key.
func (s *Session) DeniedUses(ctx context.Context, k lifecycle.Key, version int) (Denied, error) {
	if version == 0 {
		return s.DeniedUsesOf(ctx, k, lifecycle.All(k))
	}
	return s.DeniedUsesOf(ctx, k, lifecycle.Of(version))
}

// DeniedUsesOf returns when uses of these versions were denied, whether that is stored yet or not. After an error it returns
// those that are not stored yet.
func (s *Session) DeniedUsesOf(ctx context.Context, k lifecycle.Key, of lifecycle.Range) (Denied, error) {
	known := s.plane.denied.known(k.Name) // before the stored ones: what is stored meanwhile is in either
	stored, err := s.Denials.Denied(ctx, k, of)
	return known.plus(stored), err
}

// Last returns when a use of the version was last denied; of version 0, one of any version.
func (d Denied) Last(version int) time.Time {
	if version != 0 {
		return d[version].Last
	}
	var last time.Time
	for _, denied := range d {
		if denied.Last.After(last) {
			last = denied.Last
		}
	}
	return last
}
