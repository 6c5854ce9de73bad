// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// What the ledger keeps in memory at most, about 40 MiB. What is used by more entities is counted for [Others], and what more
// versions are used for is not counted.
const (
	pairsKept    = 65536 // of a key and an entity
	versionsKept = 65536
)

// What stands for an entity where there is none to name.
const (
	None   = "none"   // the tokens without an entity
	Others = "others" // the entities that there is no room for in memory
)

// Config is what a [Ledger] is made from.
type Config struct {
	Now func() time.Time
	Log hclog.Logger

	Pairs int // so many are kept in memory; 0: 65536
}

// Ledger counts the uses of one mount. It is safe for concurrent use.
type Ledger struct {
	Config
	off atomic.Bool

	mu      sync.RWMutex // taken before that of a key; writing changes which keys there are
	keys    map[string]*key
	count   atomic.Int64 // of pairs
	numbers atomic.Int64 // of versions
	began   atomic.Int64 // since when uses are counted, in seconds since 1970
	missed  atomic.Int64 // requests that were not counted, because there was no room

	running sync.Mutex // held by a tick
	tidied  Day
}

// key is what was counted of one key, by its id.
type key struct {
	id string

	mu       sync.Mutex
	deleted  bool
	name     string
	pairs    map[string]*pair // by entity
	versions map[int]*version
}

// pair is what an entity did with a key.
type pair struct {
	key    *key
	entity string
	shard  int
	kinds  [len(Kinds)]hourly
	stored Day // when it was last; 0: never by this process
}

// New returns the ledger of a mount. It is on.
func New(c Config) *Ledger {
	if c.Pairs == 0 {
		c.Pairs = pairsKept
	}
	l := &Ledger{Config: c, keys: map[string]*key{}}
	l.began.Store(c.Now().Unix())
	return l
}

// Switch turns the ledger on or off. Turned off it forgets what it has not stored.
func (l *Ledger) Switch(off bool) {
	if was := l.off.Swap(off); was && !off {
		l.began.Store(l.Now().Unix())
	}
	if !off {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.keys)
	l.count.Store(0)
	l.numbers.Store(0)
	l.missed.Store(0)
}

// Count counts what one request of an entity did with a key.
func (l *Ledger) Count(entity string, k *lifecycle.Key, counted []lifecycle.CountedUse) {
	l.with(k.ID, k.Name, func(of *key, at int64) {
		by := l.pair(of, entity)
		for _, u := range counted {
			by.kinds[kindOf(u)].add(int64(u.Count), at)
			if v := l.version(of, u.Version); v != nil && !u.Denied {
				v.add(by, u, at)
			}
		}
	})
}

// Manage counts an act of an entity on a key.
func (l *Ledger) Manage(entity, id, name string) {
	l.with(id, name, func(of *key, at int64) {
		l.pair(of, entity).kinds[manage].add(1, at)
	})
}

// Delete is told of a key that was deleted. What was counted of it is forgotten as soon as it is stored.
func (l *Ledger) Delete(id string) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if of := l.keys[id]; of != nil {
		of.locked(func(of *key) { of.deleted = true })
	}
}

// with calls do with what was counted of a key, which nobody else changes meanwhile, and with the time.
func (l *Ledger) with(id, name string, do func(of *key, at int64)) {
	if l.off.Load() {
		return
	}
	at := l.Now().Unix()
	for !l.found(id, at, do) {
		if !l.made(id, name) {
			l.missed.Add(1)
			return
		}
	}
}

func (l *Ledger) found(id string, at int64, do func(of *key, at int64)) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	of := l.keys[id]
	if of == nil {
		return false
	}
	of.mu.Lock()
	defer of.mu.Unlock()
	do(of, at)
	return true
}

// made makes room for a key, where there is some.
func (l *Ledger) made(id, name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off.Load() || l.count.Load() >= int64(l.Pairs) {
		return false
	}
	if l.keys[id] == nil {
		l.keys[id] = &key{id: id, name: name, pairs: map[string]*pair{}, versions: map[int]*version{}}
	}
	return true
}

// pair returns what was counted of an entity; of [Others] where there is no room for one more.
func (l *Ledger) pair(of *key, entity string) *pair {
	if entity == "" {
		entity = None
	}
	if p := of.pairs[entity]; p != nil {
		return p
	}
	if l.count.Load() >= int64(l.Pairs) {
		entity = Others
	}
	p := of.pairs[entity]
	if p == nil {
		p = &pair{key: of, entity: strings.Clone(entity), shard: ShardOf(entity)}
		of.pairs[p.entity] = p
		l.count.Add(1)
	}
	return p
}

// version returns what was counted of a version; nil where there is no room for one more.
func (l *Ledger) version(of *key, number int) *version {
	v := of.versions[number]
	if v == nil && l.numbers.Load() < versionsKept {
		v = &version{number: number, ops: map[lifecycle.AllowedUse]*observedUse{}}
		of.versions[number] = v
		l.numbers.Add(1)
	}
	return v
}

func kindOf(u lifecycle.CountedUse) int {
	switch {
	case u.Denied:
		return denied
	case u.Of.Protects():
		return protect
	default:
		return process
	}
}
