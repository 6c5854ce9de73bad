// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cache keeps immutable snapshots by name, the least recently used ones going first. A snapshot is kept only if
// nothing was dropped since its load began: what a load read before a change can then never outlive the change.
type cache[K comparable, V any] struct {
	mu    sync.Mutex
	lru   *simplelru.LRU[K, V]
	drops uint64
	off   bool

	groupOf func(K) string            // nil: there are no groups
	groups  map[string]map[K]struct{} // what is kept, by group
}

func newCache[K comparable, V any](size int) *cache[K, V] { return newGroups[K, V](size, nil) }

// newGroups returns a cache of which all snapshots of a group can be dropped.
func newGroups[K comparable, V any](size int, groupOf func(K) string) *cache[K, V] {
	c := &cache[K, V]{groupOf: groupOf, groups: map[string]map[K]struct{}{}}
	var err error
	if c.lru, err = simplelru.NewLRU(size, func(key K, _ V) { c.ungroup(key) }); err != nil {
		panic("internal error: cache: " + err.Error())
	}
	return c
}

// get returns the kept snapshot, or what load returns.
func (c *cache[K, V]) get(key K, load func() (V, error)) (V, error) {
	c.mu.Lock()
	value, ok := c.lru.Get(key)
	began := c.drops
	c.mu.Unlock()
	if ok {
		return value, nil
	}
	value, err := load()
	if err == nil {
		c.keep(key, value, began)
	}
	return value, err
}

// getOrAdd returns the kept value, or adds what newValue returns, so that all callers have the same one. It is for a cache of
// which nothing is dropped.
func (c *cache[K, V]) getOrAdd(key K, newValue func() V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok := c.lru.Get(key)
	if !ok {
		value = newValue()
		c.lru.Add(key, value)
	}
	return value
}

// peek returns the kept snapshot, if there is one.
func (c *cache[K, V]) peek(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Peek(key)
}

func (c *cache[K, V]) keep(key K, value V, began uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops == began && !c.off {
		c.lru.Add(key, value)
		c.group(key)
	}
}

func (c *cache[K, V]) group(key K) {
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
func (c *cache[K, V]) ungroup(key K) {
	if c.groupOf == nil {
		return
	}
	name := c.groupOf(key)
	delete(c.groups[name], key)
	if len(c.groups[name]) == 0 {
		delete(c.groups, name)
	}
}

// drop forgets the key, and what is being loaded now.
func (c *cache[K, V]) drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	c.lru.Remove(key)
}

// dropGroup forgets all snapshots of a group, and what is being loaded now.
func (c *cache[K, V]) dropGroup(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	for key := range c.groups[name] {
		c.lru.Remove(key)
	}
}

// disable forgets everything, for good.
func (c *cache[K, V]) disable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	c.lru.Purge()
}
