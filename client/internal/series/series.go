// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package series finds what counts for a set of labels, on the hot path: without a lock, an allocation or a search by text.
//
// Names of keys are labels, and an application could take them from anywhere. Their number has a limit: from there on new
// ones are counted together.
package series

import (
	"maps"
	"sync"
	"sync/atomic"
)

const (
	// Limit of the sets that are told apart.
	Limit = 4096
	// Other is the key of those that came after the limit.
	Other = "other"
)

// Table has a value for each set of labels.
type Table[L comparable, V any] struct {
	make    func(L) V
	lumped  func(L) L // the same labels, with the key Other
	mu      sync.Mutex
	current atomic.Pointer[map[L]V] // replaced, never changed
}

// New returns an empty table.
func New[L comparable, V any](make func(L) V, lumped func(L) L) *Table[L, V] {
	t := &Table[L, V]{make: make, lumped: lumped}
	t.current.Store(&map[L]V{})
	return t
}

// Get returns the value of the labels.
func (t *Table[L, V]) Get(labels L) V {
	if v, ok := (*t.current.Load())[labels]; ok {
		return v
	}
	return t.add(labels)
}

func (t *Table[L, V]) add(labels L) V {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := *t.current.Load()
	if len(known) >= Limit {
		labels = t.lumped(labels)
	}
	if v, ok := known[labels]; ok {
		return v
	}
	next := maps.Clone(known)
	v := t.make(labels)
	next[labels] = v
	t.current.Store(&next)
	return v
}
