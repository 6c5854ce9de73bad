// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses

import (
	"cmp"
	"encoding/json"
	"hash/fnv"
	"maps"
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

// Smaller gives up what is at least so many bytes as JSON: the entities that were not active for longest; of the last one, the half of
// its keys that it used least lately.
func (s Shard) Smaller(bytes int) Shard {
	idle := slices.SortedFunc(maps.Keys(s.Entities), func(a, b string) int {
		return cmp.Or(cmp.Compare(lastOf(s.Entities[a]), lastOf(s.Entities[b])), cmp.Compare(a, b))
	})
	for i, entity := range idle {
		if i == len(idle)-1 {
			return s.fewerKeys(entity)
		}
		bytes -= sizeOf(entity, s.Entities[entity])
		s.Dropped += len(s.Entities[entity])
		delete(s.Entities, entity)
		if bytes <= 0 {
			break
		}
	}
	return s
}

func (s Shard) fewerKeys(entity string) Shard {
	keys := s.Entities[entity]
	idle := slices.SortedFunc(maps.Keys(keys), func(a, b string) int {
		return cmp.Or(cmp.Compare(keys[a].Last(), keys[b].Last()), cmp.Compare(a, b))
	})
	for _, id := range idle[:(len(idle)+1)/2] {
		delete(keys, id)
		s.Dropped++
	}
	if len(keys) == 0 {
		delete(s.Entities, entity)
	}
	return s
}

// sizeOf returns the bytes that an entity takes in the JSON of a shard with others.
func sizeOf(entity string, keys map[string]Access) int {
	data, err := json.Marshal(map[string]any{entity: keys})
	if err != nil {
		return 0 // then the shard cannot be stored, which says so
	}
	return len(data) - len("{}") + len(",")
}

// lastOf returns the last day on which an entity used any of the keys.
func lastOf(keys map[string]Access) (last Day) {
	for _, access := range keys {
		last = max(last, access.Last())
	}
	return last
}
