// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package cache keeps immutable snapshots of what is stored. It knows nothing of what it keeps.
//
// Invariants:
//   - what a load read before a drop is never kept, and not given to who asks after the drop;
//   - no lock is held while a snapshot is loaded: a load that takes long holds up nobody who asks for another one;
//   - with [Cache.LoadOnce] one caller loads at a time, and the others wait for that load, no longer than their own context
//     lasts; nobody fails because another one gave up.
package cache

import (
	"context"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache keeps snapshots by key, the least recently used ones going first. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	mu      sync.Mutex
	lru     *simplelru.LRU[K, V]
	loading map[K]*loading[V]
	drops   uint64
	off     bool

	groupOf func(K) string            // nil: there are no groups
	groups  map[string]map[K]struct{} // what is kept, by group
}

// loading is a load that has begun.
type loading[V any] struct {
	began  uint64 // the drops before it
	done   chan struct{}
	value  V
	err    error
	shared bool // the outcome is that of the load; false: its caller gave up, or it panicked
}

// New returns a cache of at most so many snapshots.
func New[K comparable, V any](size int) *Cache[K, V] { return NewGrouped[K, V](size, nil) }

// NewGrouped returns a cache of which all snapshots of a group can be dropped.
func NewGrouped[K comparable, V any](size int, groupOf func(K) string) *Cache[K, V] {
	c := &Cache[K, V]{groupOf: groupOf, groups: map[string]map[K]struct{}{}, loading: map[K]*loading[V]{}}
	var err error
	if c.lru, err = simplelru.NewLRU(size, func(key K, _ V) { c.ungroup(key) }); err != nil {
		panic("internal error: cache: " + err.Error())
	}
	return c
}

// Get returns the kept snapshot, if there is one, and marks it as used.
func (c *Cache[K, V]) Get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Get(key)
}

// Peek returns the kept snapshot, if there is one, and leaves its place among the others.
func (c *Cache[K, V]) Peek(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Peek(key)
}

// Load returns the kept snapshot, or what read returns. It is for what is read in a moment.
func (c *Cache[K, V]) Load(key K, read func() (V, error)) (V, error) {
	c.mu.Lock()
	value, ok := c.lru.Get(key)
	began := c.drops
	c.mu.Unlock()
	if ok {
		return value, nil
	}
	value, err := read()
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.keep(key, value, began)
	}
	return value, err
}

// keep keeps a snapshot that was loaded, unless something was dropped since. The caller holds the lock.
func (c *Cache[K, V]) keep(key K, value V, began uint64) {
	if c.drops == began && !c.off {
		c.lru.Add(key, value)
		c.group(key)
	}
}

// LoadOnce returns the kept snapshot, or what read returns, here or in the call of another caller that is under way. It is
// for what takes long or costs much.
func (c *Cache[K, V]) LoadOnce(ctx context.Context, key K, read func() (V, error)) (V, error) {
	return c.Renew(ctx, key, func(V) bool { return true }, read)
}

// Renew is LoadOnce for snapshots that get old: one that is not usable is loaded anew, and stays where that fails. usable is
// called with the lock held.
func (c *Cache[K, V]) Renew(ctx context.Context, key K, usable func(V) bool, read func() (V, error)) (V, error) {
	for {
		l, mine, value := c.join(key, usable)
		switch {
		case l == nil:
			return value, nil
		case mine:
			return c.run(ctx, key, l, read)
		}
		select {
		case <-l.done:
			if l.shared {
				return l.value, l.err
			}
		case <-ctx.Done():
			return value, ctx.Err()
		}
	}
}

// join returns the kept snapshot or, where there is none, the load to wait for; mine: the caller has to do it. Where
// nothing is kept, every caller loads for itself.
func (c *Cache[K, V]) join(key K, usable func(V) bool) (l *loading[V], mine bool, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if value, ok := c.lru.Get(key); ok && usable(value) {
		return nil, false, value
	}
	if l := c.loading[key]; l != nil && l.began == c.drops && !c.off {
		return l, false, value
	}
	l = &loading[V]{began: c.drops, done: make(chan struct{})}
	c.loading[key] = l
	return l, true, value
}

func (c *Cache[K, V]) run(ctx context.Context, key K, l *loading[V], read func() (V, error)) (V, error) {
	defer c.end(key, l) // also where read panics
	l.value, l.err = read()
	l.shared = l.err == nil || ctx.Err() == nil
	return l.value, l.err
}

// end keeps what was loaded and tells those who wait.
func (c *Cache[K, V]) end(key K, l *loading[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loading[key] == l {
		delete(c.loading, key)
	}
	if l.shared && l.err == nil {
		c.keep(key, l.value, l.began)
	}
	close(l.done)
}

// GetOrAdd returns the kept value, or adds what newValue returns, so that all callers have the same one. It is for a cache
// into which nothing is loaded.
func (c *Cache[K, V]) GetOrAdd(key K, newValue func() V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok := c.lru.Get(key)
	if !ok {
		value = newValue()
		c.lru.Add(key, value)
		c.group(key)
	}
	return value
}

// Values returns what is kept, in no order.
func (c *Cache[K, V]) Values() []V {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Values()
}

// Len returns how many snapshots are kept.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Len()
}

func (c *Cache[K, V]) group(key K) {
	if c.groupOf == nil {
		return
	}
	name := c.groupOf(key)
	if c.groups[name] == nil {
		c.groups[name] = map[K]struct{}{}
	}
	c.groups[name][key] = struct{}{}
}

// ungroup is called by the list, with the lock held.
func (c *Cache[K, V]) ungroup(key K) {
	if c.groupOf == nil {
		return
	}
	name := c.groupOf(key)
	delete(c.groups[name], key)
	if len(c.groups[name]) == 0 {
		delete(c.groups, name)
	}
}

// Drop forgets the snapshot, and all that is being loaded now.
func (c *Cache[K, V]) Drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	c.lru.Remove(key)
}

// DropGroup forgets all snapshots of a group but those to be kept, and all that is being loaded now.
func (c *Cache[K, V]) DropGroup(name string, but ...K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	for key := range c.groups[name] {
		if !slices.Contains(but, key) {
			c.lru.Remove(key)
		}
	}
}

// DropIf forgets the snapshots that are for dropping because of their age. What is being loaded is kept: it is new.
func (c *Cache[K, V]) DropIf(old func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range c.lru.Keys() {
		if value, ok := c.lru.Peek(key); ok && old(value) {
			c.lru.Remove(key)
		}
	}
}

// Resize keeps at most so many snapshots from now on.
func (c *Cache[K, V]) Resize(size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Resize(size)
}

// Disable forgets everything, for good.
func (c *Cache[K, V]) Disable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	c.lru.Purge()
}
