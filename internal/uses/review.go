// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"time"
)

// Query is what a review asks for.
type Query struct {
	UnusedFor time.Duration // what was not used for so long is stale
	Key       string        // name or id; empty: all
	Entity    string        // empty: all
	Also      []string      // entities that are in a review of all keys whatever they did
	After     string        // the last entity of the page before
	Limit     int           // of entities
}

// Review is who did what with which keys.
type Review struct {
	Entities []Reviewed
	More     bool  // others come behind the last one
	Dropped  int   // so many of an entity and a key gave way, among what was looked at
	Missed   int64 // so many requests were not counted since this process began
	Off      bool  // the ledger is: nothing is added to what is shown
}

// Reviewed is an entity that did something, or that was asked for all the same.
type Reviewed struct {
	ID string
	EntityInfo
	Known bool // to Vault; none and others are not
	Stale bool // it did nothing with any of the keys for long
	Keys  []KeyAccess
}

// IsEntity reports that an id is that of one entity, of which Vault may know.
func IsEntity(id string) bool { return id != None && id != Others }

// KeyAccess is what an entity did with a key.
type KeyAccess struct {
	KeyID string
	Access
	Stale bool
}

// Review returns who did what, whether that is stored yet or not. Entities are in the order of their shards, so that a page reads
// no more than its own.
func (s Session) Review(ctx context.Context, q Query) (Review, error) {
	r := Review{Missed: s.missed.Load(), Off: s.off.Load()}
	before := DayOf(s.Now().Add(-q.UnusedFor))
	unstored := s.unstored() // before what is stored: what is stored meanwhile is in either
	used, err := s.shards(ctx, q, unstored)
	also := q.also()
	for _, shard := range inOrder(used, maps.Keys(also)) {
		if err != nil || r.More {
			break
		}
		var stored Shard
		if _, found := slices.BinarySearch(used, shard); found {
			stored, err = s.Access(ctx, shard)
		}
		if err == nil {
			r.More = r.add(stored.Plus(unstored[shard]), also[shard], q, before)
		}
	}
	for i := range r.Entities {
		if err == nil && IsEntity(r.Entities[i].ID) {
			e := &r.Entities[i]
			e.EntityInfo, e.Known, err = s.Entity(e.ID)
		}
	}
	return r, err
}

// inOrder returns what is in either, each once.
func inOrder[T cmp.Ordered](list []T, more iter.Seq[T]) []T {
	return slices.Compact(slices.Sorted(slices.Values(slices.AppendSeq(slices.Clip(list), more))))
}

// shards returns those with uses that a page may need, in order.
func (s Session) shards(ctx context.Context, q Query, unstored map[int]Shard) ([]int, error) {
	if q.Entity != "" {
		return []int{ShardOf(q.Entity)}, nil
	}
	stored, err := s.AccessShards(ctx)
	all := inOrder(stored, maps.Keys(unstored))
	if q.After != "" {
		first, _ := slices.BinarySearch(all, ShardOf(q.After))
		all = all[first:]
	}
	return all, err
}

// also returns the entities that a page may have whatever they did, by shard.
func (q Query) also() map[int][]string {
	shards := map[int][]string{}
	for _, entity := range q.Also {
		if q.Key == "" && !q.passes(entity) {
			shards[ShardOf(entity)] = append(shards[ShardOf(entity)], entity)
		}
	}
	return shards
}

// add adds the entities of a shard to the page, with those of also; more: it has others.
func (r *Review) add(all Shard, also []string, q Query, before Day) (more bool) {
	r.Dropped += all.Dropped
	for _, entity := range inOrder(also, maps.Keys(all.Entities)) {
		if q.passes(entity) {
			continue
		}
		reviewed := reviewedOf(entity, all.Entities[entity], q.Key, before)
		if len(reviewed.Keys) == 0 && !slices.Contains(also, entity) {
			continue
		}
		if len(r.Entities) == q.Limit {
			return true
		}
		r.Entities = append(r.Entities, reviewed)
	}
	return false
}

// passes reports an entity that the page does not have: it is not asked for, or a page before had it.
func (q Query) passes(entity string) bool {
	if q.Entity != "" && entity != q.Entity {
		return true
	}
	last := cmp.Or(cmp.Compare(ShardOf(entity), ShardOf(q.After)), cmp.Compare(entity, q.After))
	return q.After != "" && last <= 0
}

// unstored returns what was counted and may not be stored, by shard.
func (l *Ledger) unstored() map[int]Shard {
	shards := map[int]Shard{}
	l.each(func(of *key) {
		for _, p := range of.pairs {
			if shards[p.shard].Entities == nil {
				shards[p.shard] = Shard{Entities: map[string]map[string]Access{}}
			}
			shards[p.shard].put(p, func(h *hourly) Activity { return h.storing.Plus(h.unstored) })
		}
	})
	return shards
}

func reviewedOf(entity string, keys map[string]Access, only string, before Day) Reviewed {
	r := Reviewed{ID: entity, Stale: true}
	for id, access := range keys {
		if only != "" && only != id && only != access.Name || len(access.Kinds) == 0 {
			continue
		}
		stale := access.Last() < before
		r.Stale = r.Stale && stale
		r.Keys = append(r.Keys, KeyAccess{id, access, stale})
	}
	r.Stale = r.Stale && len(r.Keys) > 0
	slices.SortFunc(r.Keys, func(a, b KeyAccess) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.KeyID, b.KeyID)) })
	return r
}

// Known returns what a version was used for, whether that is stored yet or not.
func (l *Ledger) Known(keyID string, number int, stored Observed) Observed {
	l.mu.RLock()
	of := l.keys[keyID]
	l.mu.RUnlock()
	now := l.Now().Unix()
	shown := stored.until(now)
	if of != nil {
		of.locked(func(of *key) {
			if v := of.versions[number]; v != nil {
				shown = v.shown(stored, now)
			}
		})
	}
	return shown
}

// LastUse returns when a key was last used, as far as this process has counted; zero: it has counted no use.
func (l *Ledger) LastUse(keyID string) (last time.Time) {
	l.mu.RLock()
	of := l.keys[keyID]
	l.mu.RUnlock()
	if of == nil {
		return last
	}
	var at int64
	of.locked(func(of *key) {
		for _, v := range of.versions {
			for _, op := range v.ops {
				at = max(at, op.last)
			}
		}
	})
	if at == 0 {
		return last
	}
	return ofUnix(at)
}

// Since returns the time from which on [Ledger.LastUse] misses no use that this process has counted: what is stored and was not
// used since yesterday is forgotten. Zero: the ledger is off.
func (l *Ledger) Since() time.Time {
	if l.off.Load() {
		return time.Time{}
	}
	yesterday := (DayOf(l.Now()) - 1).Time()
	if began := ofUnix(l.began.Load()); began.After(yesterday) {
		return began
	}
	return yesterday
}

// Last returns the last use of all operations; zero: there was none.
func (o Observed) Last() (last time.Time) {
	for _, op := range o.Ops {
		if op.Last.After(last) {
			last = op.Last
		}
	}
	return last
}
