// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"sync/atomic"
)

const shards = 64

// known has data keys by their EDKs. Readers take no lock: a map is replaced, not changed. Writers exclude each other.
type known struct {
	seed   maphash.Seed
	shards [shards]atomic.Pointer[map[string]*DataKey]
}

func (c *known) shard(edk []byte) *atomic.Pointer[map[string]*DataKey] {
	return &c.shards[maphash.Bytes(c.seed, edk)%shards]
}

func (c *known) get(edk []byte) *DataKey {
	if m := c.shard(edk).Load(); m != nil {
		return (*m)[string(edk)]
	}
	return nil
}

// put adds a data key that is not there.
func (c *known) put(d *DataKey) {
	shard := c.shard([]byte(d.EDK()))
	next := map[string]*DataKey{d.EDK(): d}
	if m := shard.Load(); m != nil {
		maps.Copy(next, *m)
	}
	shard.Store(&next)
}

// each calls f with each data key.
func (c *known) each(f func(*DataKey)) {
	for i := range c.shards {
		if m := c.shards[i].Load(); m != nil {
			for _, d := range *m {
				f(d)
			}
		}
	}
}

// remove takes out the data keys that f chooses, and returns how many.
func (c *known) remove(f func(*DataKey) bool) (n int64) {
	for i := range c.shards {
		m := c.shards[i].Load()
		if m == nil {
			continue
		}
		next := make(map[string]*DataKey, len(*m))
		for edk, d := range *m {
			if !f(d) {
				next[edk] = d
			}
		}
		if removed := len(*m) - len(next); removed > 0 {
			n += int64(removed)
			c.shards[i].Store(&next)
		}
	}
	return n
}

// trim takes out the data keys that were used longest ago, some more than are too many so that it is seldom done.
func (s *Set) trim() {
	if s.known.Load() <= MaxKnown {
		return
	}
	type old struct {
		key *Key
		d   *DataKey
		use int64
	}
	var all []old
	for _, k := range s.all() {
		k.known.each(func(d *DataKey) {
			if d != k.current.Load() {
				all = append(all, old{k, d, d.lastUse()})
			}
		})
	}
	slices.SortFunc(all, func(a, b old) int { return cmp.Compare(a.use, b.use) })
	gone := map[*Key]map[*DataKey]bool{}
	for _, o := range all[:min(len(all), max(0, int(s.known.Load())-MaxKnown+MaxKnown/16))] {
		if gone[o.key] == nil {
			gone[o.key] = map[*DataKey]bool{}
		}
		gone[o.key][o.d] = true
	}
	for k, data := range gone {
		k.mu.Lock()
		k.forget(func(d *DataKey) bool { return data[d] })
		k.mu.Unlock()
	}
}
