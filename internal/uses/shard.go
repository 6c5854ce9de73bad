// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Shards is how many there are. An entity is in one of them.
const Shards = 1024

// ShardOf returns the shard of an entity.
func ShardOf(entity string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(entity))
	return int(h.Sum32() % Shards)
}

// Shard is what some entities did.
type Shard struct {
	Entities map[string]map[string]Access `json:"entities"` // by entity, by id of the key
	Dropped  int                          `json:"dropped"`  // so many gave way, in all, of an entity and a key
}

// Plus returns both together.
func (s Shard) Plus(more Shard) Shard {
	sum := Shard{Entities: make(map[string]map[string]Access, len(s.Entities)+len(more.Entities)), Dropped: s.Dropped + more.Dropped}
	for _, part := range []Shard{s, more} {
		for entity, keys := range part.Entities {
			if sum.Entities[entity] == nil {
				sum.Entities[entity] = make(map[string]Access, len(keys))
			}
			for id, access := range keys {
				sum.Entities[entity][id] = sum.Entities[entity][id].Plus(access)
			}
		}
	}
	return sum
}

// Smaller drops the entity that was not active for longest; of the only one, the half of its keys that it used least lately.
func (s Shard) Smaller() Shard {
	if len(s.Entities) == 1 {
		return s.fewerKeys()
	}
	idle, since := "", Day(0)
	for entity, keys := range s.Entities {
		last := lastOf(keys)
		if idle == "" || last < since || last == since && entity < idle {
			idle, since = entity, last
		}
	}
	s.Dropped += len(s.Entities[idle])
	delete(s.Entities, idle)
	return s
}

func (s Shard) fewerKeys() Shard {
	for _, keys := range s.Entities {
		ids := make([]string, 0, len(keys))
		for id := range keys {
			ids = append(ids, id)
		}
		slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(keys[a].Last(), keys[b].Last()), cmp.Compare(a, b)) })
		for _, id := range ids[:(len(ids)+1)/2] {
			delete(keys, id)
			s.Dropped++
		}
	}
	return s
}

// lastOf returns the last day on which an entity used any of the keys.
func lastOf(keys map[string]Access) (last Day) {
	for _, access := range keys {
		last = max(last, access.Last())
	}
	return last
}
