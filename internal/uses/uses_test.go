// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
)

var (
	start  = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	orders = &lifecycle.Key{Name: "orders", ID: "id-1"}
	cards  = &lifecycle.Key{Name: "cards", ID: "id-2"}
)

// world is a ledger on a storage in memory. It is the storage, and the directory, too.
type world struct {
	*uses.Ledger
	mu       sync.Mutex
	now      time.Time
	shards   map[int]uses.Shard
	observed map[string]map[int]uses.Observed // by id of the key
	puts     int
	broken   error
	asked    []string // entities that Vault was asked for
	read     int      // shards
}

func newWorld(pairs int) *world {
	w := &world{now: start, shards: map[int]uses.Shard{}, observed: map[string]map[int]uses.Observed{}}
	w.Ledger = uses.New(uses.Config{Now: w.time, Log: hclog.NewNullLogger(), Pairs: pairs})
	return w
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) AccessShards(context.Context) ([]int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.shards)), nil
}

func (w *world) Access(_ context.Context, shard int) (uses.Shard, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read++
	return w.shards[shard], nil
}

func (w *world) AddAccess(_ context.Context, shard int, more uses.Shard) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.puts++; w.broken != nil {
		return w.broken
	}
	w.shards[shard] = w.shards[shard].Plus(more)
	return nil
}

func (w *world) AddObserved(_ context.Context, _, keyID string, more map[int]uses.Observed) (map[int]uses.Observed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.puts++; w.broken != nil {
		return more, w.broken
	}
	if w.observed[keyID] == nil {
		w.observed[keyID] = map[int]uses.Observed{}
	}
	for version, o := range more {
		w.observed[keyID][version] = w.observed[keyID][version].Plus(o)
	}
	return nil, nil
}

func (w *world) Entity(id string) (uses.EntityInfo, bool, error) {
	w.asked = append(w.asked, id)
	return uses.EntityInfo{Name: "name of " + id, Groups: []string{"team"}}, id != "gone", nil
}

func (w *world) use(entity string, k *lifecycle.Key, op lifecycle.AllowedUse, version, n int) {
	w.Count(entity, k, []lifecycle.CountedUse{{Of: op, Version: version, Count: n}})
}

func (w *world) tick(t *testing.T) {
	t.Helper()
	require.NoError(t, w.Session(w, w).Tick(t.Context()))
}

// written is how often something was written since it was asked last.
func (w *world) written() (n int) {
	n, w.puts = w.puts, 0
	return n
}

func (w *world) review(t *testing.T, q uses.Query) uses.Review {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	r, err := w.Session(w, w).Review(t.Context(), q)
	require.NoError(t, err)
	return r
}

// did is what an entity did with a key, of one kind.
func (w *world) did(t *testing.T, entity, keyID string, kind uses.Kind) uses.Activity {
	t.Helper()
	for _, e := range w.review(t, uses.Query{Entity: entity}).Entities {
		for _, access := range e.Keys {
			if access.KeyID == keyID {
				return access.Kinds[kind]
			}
		}
	}
	return uses.Activity{}
}

func TestUsesAreCountedByEntityAndKey(t *testing.T) {
	w := newWorld(0)
	today := uses.DayOf(start)
	w.use("alice", orders, lifecycle.UseEncrypt, 1, 3)
	w.use("alice", orders, lifecycle.UseDecrypt, 1, 2)
	w.use("alice", cards, lifecycle.UseSign, 1, 1)
	w.use("", orders, lifecycle.UseRewrap, 1, 1)
	w.Manage("bob", orders.ID, orders.Name)
	w.Count("bob", orders, []lifecycle.CountedUse{{Version: 1, Count: 4, Denied: true}})
	for _, when := range []string{"counted", "stored"} {
		require.Equal(t, uses.Activity{today, today, 3, []int64{3}}, w.did(t, "alice", "id-1", uses.Protect), when)
		require.Equal(t, int64(2), w.did(t, "alice", "id-1", uses.Process).Sum, when)
		require.Equal(t, int64(1), w.did(t, "alice", "id-2", uses.Protect).Sum, when)
		require.Equal(t, int64(1), w.did(t, uses.None, "id-1", uses.Process).Sum, when)
		require.Equal(t, int64(1), w.did(t, "bob", "id-1", uses.Manage).Sum, when)
		require.Equal(t, int64(4), w.did(t, "bob", "id-1", uses.Denied).Sum, when)
		w.tick(t)
	}
	require.NotContains(t, w.Known("id-1", 1, uses.Observed{}).By, uses.User{Entity: "bob"}, "what is denied is no use")
}

func TestCountingAllocatesNothing(t *testing.T) {
	racetest.Skip(t, "the race detector allocates, too")
	w := newWorld(0)
	counted := []lifecycle.CountedUse{{Of: lifecycle.UseEncrypt, Version: 1, Count: 1}, {Of: lifecycle.UseDecrypt, Version: 2, Count: 5}}
	w.Count("alice", orders, counted)
	require.Zero(t, testing.AllocsPerRun(1000, func() { w.Count("alice", orders, counted) }))
}

func BenchmarkCount(b *testing.B) {
	w := uses.New(uses.Config{Now: func() time.Time { return time.Now().UTC().Round(0) }})
	counted := []lifecycle.CountedUse{{Of: lifecycle.UseEncrypt, Version: 1, Count: 1}}
	for i := range 16 {
		w.Count(fmt.Sprint("entity ", i), orders, counted)
	}
	b.ReportAllocs()
	for b.Loop() {
		w.Count("entity 7", orders, counted)
	}
}

func TestAnEntityIsStoredWhenItIsNewToAKeyAndOnceADay(t *testing.T) {
	w := newWorld(0)
	w.tick(t)
	require.Zero(t, w.written(), "nothing was used")
	w.Manage("alice", orders.ID, orders.Name)
	w.tick(t)
	require.Equal(t, 1, w.written())
	for range 5 {
		w.Manage("alice", orders.ID, orders.Name)
		w.pass(time.Hour)
		w.tick(t)
	}
	require.Zero(t, w.written(), "not a second time today")
	w.Manage("alice", cards.ID, cards.Name)
	w.tick(t)
	require.Equal(t, 1, w.written(), "another key")
	w.pass(12 * time.Hour)
	w.tick(t)
	w.tick(t)
	require.Zero(t, w.written(), "all was stored with the other key")
	w.Manage("alice", orders.ID, orders.Name)
	w.tick(t)
	require.Equal(t, 1, w.written(), "another day")
	require.Equal(t, int64(7), w.did(t, "alice", "id-1", uses.Manage).Sum)
}

func TestWhatIsStoredOfALastUseIsNeverTooEarly(t *testing.T) {
	w := newWorld(0)
	stored := func() time.Time { return w.observed["id-1"][1].Ops[lifecycle.UseEncrypt].Last }
	writes := 0
	var used time.Time
	for range 300 {
		used = w.time()
		w.use("alice", orders, lifecycle.UseEncrypt, 1, 1)
		before := w.observed["id-1"][1].Ops[lifecycle.UseEncrypt].Count
		w.tick(t)
		if w.observed["id-1"][1].Ops[lifecycle.UseEncrypt].Count != before {
			writes++
		}
		require.False(t, stored().Before(used))
		w.pass(time.Minute)
	}
	require.Equal(t, 6, writes, "one in 50 minutes")
	known := w.Known("id-1", 1, w.observed["id-1"][1]).Ops[lifecycle.UseEncrypt]
	require.Equal(t, uses.Observation{Count: 300, First: start, Last: used}, known, "this process knows it to the second")
	other := newWorld(0)
	other.now = w.now
	unknown := other.Known("id-1", 1, w.observed["id-1"][1]).Ops[lifecycle.UseEncrypt]
	require.Equal(t, w.now, unknown.Last, "another one knows that it was not later than now")
}

func TestTheNewestSixteenEntitiesOfAVersionAreKept(t *testing.T) {
	w := newWorld(0)
	for i := range 20 {
		w.use(fmt.Sprint("entity ", i), orders, lifecycle.UseDecrypt, 1, 1)
		w.pass(time.Second)
	}
	w.use("entity 8", orders, lifecycle.UseEncrypt, 1, 1)
	w.tick(t)
	by := w.observed["id-1"][1].By
	require.Len(t, by, 16)
	require.Equal(t, uses.User{Entity: "entity 8", Op: lifecycle.UseEncrypt, Time: w.now}, by[0])
	for _, user := range by {
		require.NotContains(t, []string{"entity 0", "entity 1", "entity 2", "entity 3"}, user.Entity)
	}
}

func TestWhatCannotBeStoredStaysCounted(t *testing.T) {
	w := newWorld(0)
	w.use("alice", orders, lifecycle.UseEncrypt, 1, 5)
	w.broken = errors.New("no storage")
	for range 3 {
		require.ErrorIs(t, w.Session(w, w).Tick(t.Context()), w.broken)
		w.use("alice", orders, lifecycle.UseEncrypt, 1, 1)
	}
	w.broken = nil
	w.tick(t)
	require.Equal(t, int64(8), w.shards[uses.ShardOf("alice")].Entities["alice"]["id-1"].Kinds[uses.Protect].Sum)
	require.Equal(t, int64(8), w.observed["id-1"][1].Ops[lifecycle.UseEncrypt].Count)
}

func TestBeyondItsRoomTheLedgerCountsOthers(t *testing.T) {
	w := newWorld(3)
	for i := range 10 {
		w.use(fmt.Sprint("entity ", i), orders, lifecycle.UseEncrypt, 1, 1)
	}
	w.use("alice", cards, lifecycle.UseEncrypt, 1, 1)
	require.Equal(t, int64(7), w.did(t, uses.Others, "id-1", uses.Protect).Sum)
	r := w.review(t, uses.Query{})
	require.Len(t, r.Entities, 4)
	require.Equal(t, int64(1), r.Missed, "a key for which there is no room")
	require.Equal(t, int64(10), w.Known("id-1", 1, uses.Observed{}).Ops[lifecycle.UseEncrypt].Count)

	w.tick(t)
	w.pass(48 * time.Hour)
	w.tick(t)
	w.use("alice", cards, lifecycle.UseEncrypt, 1, 1)
	require.Equal(t, int64(1), w.did(t, "alice", "id-2", uses.Protect).Sum, "who was idle has given way")
}

func TestAnIdleLedgerForgetsOnlyWhatIsStored(t *testing.T) {
	w := newWorld(0)
	w.use("alice", orders, lifecycle.UseEncrypt, 1, 1)
	w.broken = errors.New("no storage")
	for range 4 {
		require.Error(t, w.Session(w, w).Tick(t.Context()))
		w.pass(24 * time.Hour)
	}
	w.broken = nil
	w.tick(t)
	require.Equal(t, int64(1), w.observed["id-1"][1].Ops[lifecycle.UseEncrypt].Count)
	require.Equal(t, int64(1), w.did(t, "alice", "id-1", uses.Protect).Sum)
}

func TestOfADeletedKeyNothingIsKeptThatIsStored(t *testing.T) {
	w := newWorld(0)
	w.use("alice", orders, lifecycle.UseEncrypt, 1, 1)
	w.use("bob", orders, lifecycle.UseEncrypt, 1, 1)
	w.tick(t)
	w.use("alice", orders, lifecycle.UseEncrypt, 2, 1)
	w.Manage("alice", "id-1", "orders")
	w.Delete("id-1")
	w.broken = errors.New("no storage")
	require.Error(t, w.Session(w, w).Tick(t.Context()))
	require.Equal(t, 1, w.Kept(), "what bob did is stored")
	w.broken = nil
	w.tick(t)
	require.Zero(t, w.Kept())
	require.Equal(t, int64(2), w.did(t, "alice", "id-1", uses.Protect).Sum)
	require.Equal(t, int64(1), w.did(t, "alice", "id-1", uses.Manage).Sum)
	require.Equal(t, int64(1), w.did(t, "bob", "id-1", uses.Protect).Sum)
	w.Delete("id-of-none")
}

func TestALedgerThatIsOffCountsAndWritesNothing(t *testing.T) {
	w := newWorld(0)
	w.use("alice", orders, lifecycle.UseEncrypt, 1, 1)
	w.Switch(true)
	w.use("alice", orders, lifecycle.UseEncrypt, 1, 1)
	w.Manage("alice", orders.ID, orders.Name)
	w.tick(t)
	require.Zero(t, w.written())
	r := w.review(t, uses.Query{})
	require.Empty(t, r.Entities)
	require.True(t, r.Off)
	w.Switch(false)
	w.use("alice", orders, lifecycle.UseEncrypt, 1, 1)
	require.Equal(t, int64(1), w.did(t, "alice", "id-1", uses.Protect).Sum)
}

func TestPeaksAreTheBusiestHoursOfDays(t *testing.T) {
	w := newWorld(0)
	for day := range 20 {
		for range day + 1 {
			w.Manage("alice", orders.ID, orders.Name)
		}
		w.tick(t) // the hour goes on
		w.Manage("alice", orders.ID, orders.Name)
		w.pass(time.Hour)
		w.Manage("alice", orders.ID, orders.Name)
		w.pass(23 * time.Hour)
	}
	got := w.did(t, "alice", "id-1", uses.Manage)
	require.Equal(t, []int64{21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8}, got.Peaks)
	require.Equal(t, uses.DayOf(start), got.First)
	require.Equal(t, uses.DayOf(start)+19, got.Last)
}

func TestNothingIsLostWhileTicksAndReviewsRun(t *testing.T) {
	w := newWorld(0)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 500 {
				w.use(fmt.Sprint("entity ", i%3), orders, lifecycle.UseEncrypt, 1, 1)
				w.pass(time.Minute)
			}
		})
	}
	all.Go(func() {
		for range 100 {
			assert.NoError(t, w.Session(w, w).Tick(t.Context()))
			_ = w.Known("id-1", 1, uses.Observed{})
		}
	})
	all.Wait()
	w.pass(24 * time.Hour)
	sum := int64(0)
	for i := range 3 {
		sum += w.did(t, fmt.Sprint("entity ", i), "id-1", uses.Protect).Sum
	}
	require.Equal(t, int64(4000), sum)
	require.Equal(t, int64(4000), w.Known("id-1", 1, w.observed["id-1"][1]).Ops[lifecycle.UseEncrypt].Count)
}
