// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
)

func TestShardsGiveUpWhatWasIdleForLongest(t *testing.T) {
	w := newWorld(0)
	for i := range 4 {
		w.use("alice", &lifecycle.Key{ID: fmt.Sprint(i), Name: fmt.Sprint(i)}, lifecycle.UseEncrypt, 1, 1)
		w.tick(t)
		w.pass(24 * time.Hour)
	}
	shard := w.shards[uses.ShardOf("alice")].Plus(uses.Shard{Entities: map[string]map[string]uses.Access{
		"bob": {"k": {Kinds: map[uses.Kind]uses.Activity{uses.Protect: {First: 1, Last: 2, Sum: 1}}}},
	}})
	shard = shard.Smaller(1)
	require.NotContains(t, shard.Entities, "bob")
	require.Equal(t, 1, shard.Dropped)
	shard = shard.Smaller(1)
	require.Equal(t, 3, shard.Dropped)
	require.Equal(t, []string{"2", "3"}, slices.Sorted(maps.Keys(shard.Entities["alice"])), "the only entity keeps what it used last")
	require.Empty(t, shard.Smaller(1).Smaller(1).Entities, "nothing is left to give up")
}

// TestAShardGivesUpWhatIsAskedOfItAtOnce holds what is given up against the bytes of the shard's JSON.
func TestAShardGivesUpWhatIsAskedOfItAtOnce(t *testing.T) {
	for _, bytes := range []int{1, 200, 5_000, 50_000} {
		shard := uses.Shard{Entities: map[string]map[string]uses.Access{}}
		for i := range 1000 {
			keys := map[string]uses.Access{}
			for key := range i%3 + 1 {
				keys[fmt.Sprint("<key> ", key)] = uses.Access{Name: "orders", Kinds: map[uses.Kind]uses.Activity{uses.Protect: {First: 1, Last: uses.Day(i), Sum: 1}}}
			}
			shard.Entities[fmt.Sprint("entity ", i)] = keys
		}
		before, oldest := sizeOf(t, shard), sizeOf(t, shard.Entities["entity 0"])
		shard = shard.Smaller(bytes)
		given := before - sizeOf(t, shard)
		require.GreaterOrEqual(t, given, bytes)
		require.Less(t, given, bytes+4*oldest, "no entity more than it takes")
		gone := 1000 - len(shard.Entities)
		require.NotContains(t, shard.Entities, fmt.Sprint("entity ", gone-1))
		require.Contains(t, shard.Entities, fmt.Sprint("entity ", gone), "those go that were not active for longest")
	}
}

// sizeOf returns how many bytes something is as JSON, but for how many were dropped.
func sizeOf(t *testing.T, v any) int {
	t.Helper()
	if shard, ok := v.(uses.Shard); ok {
		v = shard.Entities
	}
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return len(data)
}
