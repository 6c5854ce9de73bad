// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses

import (
	"context"
	"errors"
	"time"
)

// What one tick stores at most; the rest is for the next one.
const (
	tickShards = 64
	tickKeys   = 256
)

// Session is the ledger during one request.
type Session struct {
	*Ledger
	Storage
	Directory
}

// Session binds the ledger to the storage of one request, and to what Vault knows of entities.
func (l *Ledger) Session(s Storage, d Directory) Session { return Session{l, s, d} }

// Tick stores what was counted, where it is time to: of a version, before what is stored of its last use is too early; of an
// entity, where it is new to a key, where the key was deleted, and once a day. What cannot be stored stays counted.
func (s Session) Tick(ctx context.Context) error {
	if s.off.Load() || !s.running.TryLock() {
		return nil
	}
	defer s.running.Unlock()
	now := s.Now()
	s.tidy(now)
	shards, keys := s.due(now)
	var err error
	for shard, pairs := range shards {
		err = errors.Join(err, s.storeAccess(ctx, shard, pairs, DayOf(now)))
	}
	for _, of := range keys {
		err = errors.Join(err, s.storeObserved(ctx, of, now))
	}
	s.forgetDeleted()
	return err
}

// due returns the shards that are to be written, with all that was counted of their entities, and the keys with versions that are.
func (l *Ledger) due(now time.Time) (shards map[int][]*pair, keys []*key) {
	today, due := DayOf(now), map[int]bool{}
	shards = map[int][]*pair{}
	l.each(func(of *key) {
		for _, p := range of.pairs {
			if !p.hasUnstored() {
				continue
			}
			shards[p.shard] = append(shards[p.shard], p)
			if (p.stored != today || of.deleted) && len(due) < tickShards {
				due[p.shard] = true
			}
		}
		if len(keys) < tickKeys && !of.deleted && of.due(now.Unix()) {
			keys = append(keys, of)
		}
	})
	for shard := range shards {
		if !due[shard] {
			delete(shards, shard)
		}
	}
	return shards, keys
}

// each calls do with each key, which nobody changes meanwhile.
func (l *Ledger) each(do func(of *key)) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, of := range l.keys {
		of.locked(do)
	}
}

func (k *key) locked(do func(of *key)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	do(k)
}

func (k *key) due(now int64) bool {
	for _, v := range k.versions {
		if v.due(now) {
			return true
		}
	}
	return false
}

func (p *pair) hasUnstored() bool {
	for i := range p.kinds {
		if p.kinds[i].unstored.Sum > 0 {
			return true
		}
	}
	return false
}

// storeAccess stores what was counted of entities of a shard.
func (s Session) storeAccess(ctx context.Context, shard int, pairs []*pair, today Day) error {
	more := Shard{Entities: map[string]map[string]Access{}}
	for _, p := range pairs {
		p.key.locked(func(of *key) { more.put(p, (*hourly).take) })
	}
	err := s.AddAccess(ctx, shard, more)
	for _, p := range pairs {
		p.key.locked(func(*key) { p.took(err == nil, today) })
	}
	return err
}

// put adds a part of what a pair did.
func (s Shard) put(p *pair, part func(*hourly) Activity) {
	access := Access{Name: p.key.name, Kinds: map[Kind]Activity{}}
	for i, kind := range Kinds {
		if did := part(&p.kinds[i]); did.Sum > 0 {
			access.Kinds[kind] = did
		}
	}
	if len(access.Kinds) == 0 {
		return
	}
	if s.Entities[p.entity] == nil {
		s.Entities[p.entity] = map[string]Access{}
	}
	s.Entities[p.entity][p.key.id] = access
}

func (p *pair) took(stored bool, today Day) {
	for i := range p.kinds {
		p.kinds[i].took(stored)
	}
	if stored {
		p.stored = today
	}
}

// storeObserved stores what the versions of a key were used for: of those that are due.
func (s Session) storeObserved(ctx context.Context, of *key, now time.Time) error {
	more := map[int]Observed{}
	of.locked(func(of *key) {
		for number, v := range of.versions {
			if v.due(now.Unix()) {
				more[number] = v.take(now.Unix())
			}
		}
	})
	left, err := s.AddObserved(ctx, of.name, of.id, more)
	of.locked(func(of *key) {
		for number, observed := range more {
			_, failed := left[number]
			of.versions[number].took(observed, !failed)
		}
	})
	return err
}

// forgetDeleted forgets what was counted of keys that were deleted, but for what is not stored yet.
func (l *Ledger) forgetDeleted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, of := range l.keys {
		if !of.deleted {
			continue
		}
		l.numbers.Add(-int64(len(of.versions)))
		clear(of.versions)
		for entity, p := range of.pairs {
			if !p.hasUnstored() {
				delete(of.pairs, entity)
				l.count.Add(-1)
			}
		}
		if len(of.pairs) == 0 {
			delete(l.keys, id)
		}
	}
}

// tidy forgets, once a day, what is stored and was not used since yesterday.
func (l *Ledger) tidy(now time.Time) {
	today := DayOf(now)
	if l.tidied == today {
		return
	}
	l.tidied = today
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, of := range l.keys {
		of.locked(func(of *key) { l.forget(of, today) })
		if len(of.pairs) == 0 && len(of.versions) == 0 {
			delete(l.keys, id)
		}
	}
}

func (l *Ledger) forget(of *key, today Day) {
	for entity, p := range of.pairs {
		if !p.hasUnstored() && p.stored < today-1 {
			delete(of.pairs, entity)
			l.count.Add(-1)
		}
	}
	for number, v := range of.versions {
		if v.idleSince(today - 1) {
			delete(of.versions, number)
			l.numbers.Add(-1)
		}
	}
}

// idleSince reports a version of which all is stored, and that was not used since the day began.
func (v *version) idleSince(day Day) bool {
	for _, op := range v.ops {
		if op.unstored > 0 || op.last >= day.Time().Unix() {
			return false
		}
	}
	return true
}
