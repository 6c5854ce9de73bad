// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
)

func accessOf(entity string, n int64) uses.Shard {
	day := uses.Day(20000)
	return uses.Shard{Entities: map[string]map[string]uses.Access{
		entity: {"id": {Name: "orders", Kinds: map[uses.Kind]uses.Activity{uses.Protect: {First: day, Last: day, Sum: n, Peaks: []int64{n}}}}},
	}}
}

func observedOnce(v int) map[int]uses.Observed {
	return map[int]uses.Observed{v: {
		Ops: map[lifecycle.AllowedUse]uses.Observation{lifecycle.UseEncrypt: {Count: 1, First: start, Last: start.Add(time.Hour)}},
		By:  []uses.User{{Entity: "alice", Op: lifecycle.UseEncrypt, Time: start}},
	}}
}

// TestWhatWasUsedIsAddedOnce has each write fail in each way, and does again what a tick would: what was not added.
func TestWhatWasUsedIsAddedOnce(t *testing.T) {
	for name, add := range map[string]func(w *world, id string) error{
		"access": func(w *world, _ string) error { return w.AddAccess(ctx, 7, accessOf("alice", 3)) },
		"observed": func(w *world, id string) error {
			_, err := w.AddObserved(ctx, "orders", id, observedOnce(1))
			return err
		},
	} {
		for _, fate := range storagetest.Fates() {
			t.Run(name+" "+string(fate), func(t *testing.T) {
				w := newWorld()
				w.create(t, "orders", "")
				k, err := w.Key(ctx, "orders")
				require.NoError(t, err)
				require.NoError(t, add(w, k.ID))
				w.disk.FailWriteAs(1, fate)
				err = add(w, k.ID)
				require.True(t, w.disk.Fired())
				w.disk.Heal()
				if err != nil {
					require.ErrorIs(t, err, storagetest.ErrInjected)
					require.NoError(t, add(w, k.ID))
				}
				w.restart()
				if name == "access" {
					shard, err := w.Access(ctx, 7)
					require.NoError(t, err)
					require.Equal(t, accessOf("alice", 3).Plus(accessOf("alice", 3)), shard)
					return
				}
				observed, _, err := w.Observed(ctx, "orders", k.ID, 1)
				require.NoError(t, err)
				require.EqualValues(t, 2, observed.Ops[lifecycle.UseEncrypt].Count)
			})
		}
	}
}

func TestWhatCannotBeAddedIsReturned(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	more := observedOnce(1)
	more[2] = more[1]
	w.disk.FailWrites()
	left, err := w.AddObserved(ctx, "orders", k.ID, more)
	require.Error(t, err)
	require.Equal(t, more, left)
	w.disk.Heal()
	w.disk.FailGets("leases/orders/2")
	left, err = w.AddObserved(ctx, "orders", k.ID, more)
	require.Error(t, err)
	require.Equal(t, map[int]uses.Observed{2: more[2]}, left)
}

func TestNoShardIsLargerThanAStorageTakes(t *testing.T) {
	racetest.Skip(t, "one goroutine encodes large records")
	w := newWorld()
	last := uses.Day(20000)
	for batch := range 12 {
		more := uses.Shard{Entities: map[string]map[string]uses.Access{}}
		for i := range 250 {
			entity := fmt.Sprintf("entity %d %d", batch, i)
			more.Entities[entity] = map[string]uses.Access{"key id": {Name: "orders", Kinds: map[uses.Kind]uses.Activity{
				uses.Process: {First: last, Last: last + uses.Day(batch), Sum: 1 << 40, Peaks: make([]int64, 14)},
			}}}
		}
		require.NoError(t, w.AddAccess(ctx, 7, more))
		require.LessOrEqual(t, len(w.entries(t)["access/007"]), 400<<10)
	}
	shard, err := w.Access(ctx, 7)
	require.NoError(t, err)
	require.Equal(t, 12*250, len(shard.Entities)+shard.Dropped)
	require.NotContains(t, shard.Entities, "entity 0 0", "the one that was idle for longest")
	require.Contains(t, shard.Entities, "entity 11 249")
	shards, err := w.AccessShards(ctx)
	require.NoError(t, err)
	require.Equal(t, []int{7}, shards)
}

// TestAFullShardMakesRoomInOneGo counts allocations: making a record smaller entity by entity would make the JSON of all of it each time.
func TestAFullShardMakesRoomInOneGo(t *testing.T) {
	racetest.Skip(t, "allocations are counted")
	full := func(surplus int) float64 {
		w := newWorld()
		add := func(entities int) {
			more := uses.Shard{Entities: map[string]map[string]uses.Access{}}
			for i := range entities {
				maps.Copy(more.Entities, accessOf(fmt.Sprintf("entity %d of %d", i, entities), 1).Entities)
			}
			require.NoError(t, w.AddAccess(ctx, 7, more))
		}
		add(3200)
		return testing.AllocsPerRun(1, func() { add(surplus) })
	}
	require.Less(t, full(300), 3*full(3))
}

func TestWhatAVersionWasUsedForIsBesideWhatWasLeasedOfIt(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	_, _, err = w.Lease(ctx, "orders", asking(k))
	require.NoError(t, err)
	before := w.entries(t)["leases/orders/1"]
	require.NotContains(t, before, "used", "a version of which nothing was counted is stored as ever")
	left, err := w.AddObserved(ctx, "orders", k.ID, observedOnce(1))
	require.NoError(t, err)
	require.Empty(t, left)
	_, _, err = w.Lease(ctx, "orders", asking(k))
	require.NoError(t, err)
	w.disk.Reset()
	observed, leased, err := w.Observed(ctx, "orders", k.ID, 1)
	require.NoError(t, err)
	require.Equal(t, storagetest.Counts{Gets: 1}, w.disk.Reset())
	require.Equal(t, observedOnce(1)[1], observed)
	require.Equal(t, policy.Usage{Encryptions: 20, Bytes: 200}, leased)
	other, _, err := w.Observed(ctx, "orders", "another key of the name", 1)
	require.NoError(t, err)
	require.Empty(t, other)
}

func TestWhatAKeyThatIsGoneWasUsedForIsDropped(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.NoError(t, deleteOrders(w, ""))
	for _, name := range []string{"no key", "another key of the name"} {
		left, err := w.AddObserved(ctx, "orders", k.ID, observedOnce(1))
		require.NoError(t, err, name)
		require.Empty(t, left, name)
		require.NotContains(t, w.entries(t), "leases/orders/1", name)
		if name == "no key" {
			w.create(t, "orders", "")
			k.ID = "before"
		}
	}
}

func TestTheSettingsOfTheLedgerAreStoredWhereTheyAreNoDefaults(t *testing.T) {
	w := newWorld()
	set := func(change func(*policy.Governance)) string {
		_, err := w.SetGovernance(ctx, func(g policy.Governance) policy.Governance {
			change(&g)
			return g
		})
		require.NoError(t, err)
		return w.entries(t)["config/engine"]
	}
	require.NotContains(t, set(func(g *policy.Governance) { g.RequirePolicy = true }), "access")
	for _, change := range []func(*policy.Governance){
		func(g *policy.Governance) { g.LedgerOff = true },
		func(g *policy.Governance) { g.ReviewEvery = 24 * time.Hour },
		func(g *policy.Governance) { g.Reviewed = start },
	} {
		require.Contains(t, set(change), "access")
	}
	w.restart()
	g, err := w.Governance(ctx)
	require.NoError(t, err)
	require.Equal(t, policy.Governance{RequirePolicy: true, LedgerOff: true, ReviewEvery: 24 * time.Hour, Reviewed: start}, g)
	require.NotContains(t, set(func(g *policy.Governance) { *g = policy.Governance{} }), "access")
}
