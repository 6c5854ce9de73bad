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
}

func newCache[K comparable, V any](size int) *cache[K, V] {
	lru, err := simplelru.NewLRU[K, V](size, nil)
	if err != nil {
		panic("internal error: cache: " + err.Error())
	}
	return &cache[K, V]{lru: lru}
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
	}
}

// drop forgets the key, and what is being loaded now.
func (c *cache[K, V]) drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	c.lru.Remove(key)
}

// disable forgets everything, for good.
func (c *cache[K, V]) disable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	c.lru.Purge()
}
