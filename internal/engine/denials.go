// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"sync"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// denials counts denied uses in memory; the tick stores them. A crash loses those of the last minute.
type denials struct {
	mu    sync.Mutex
	byKey map[string]map[int]lifecycle.Denials
}

// add counts denied uses of a key.
func (d *denials) add(name string, more map[int]lifecycle.Denials) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byKey == nil {
		d.byKey = map[string]map[int]lifecycle.Denials{}
	}
	if d.byKey[name] == nil {
		d.byKey[name] = map[int]lifecycle.Denials{}
	}
	for version, denied := range more {
		d.byKey[name][version] = d.byKey[name][version].Plus(denied)
	}
}

// take returns what was counted of a key and starts anew.
func (d *denials) take(name string) map[int]lifecycle.Denials {
	d.mu.Lock()
	defer d.mu.Unlock()
	counted := d.byKey[name]
	delete(d.byKey, name)
	return counted
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

// flushDenied stores what was counted of a key.
func (e *Engine) flushDenied(ctx context.Context, r Repo, name string) error {
	counted := e.denied.take(name)
	if len(counted) == 0 {
		return nil
	}
	if err := r.AddDenied(ctx, name, counted); err != nil {
		e.denied.add(name, counted)
		return err
	}
	return nil
}
