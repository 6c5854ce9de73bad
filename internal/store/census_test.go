// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/census"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

func goldenCensus() census.Snapshot {
	return census.Snapshot{
		At: start, Saved: start.Add(time.Minute),
		Keys: map[observe.TypeState]int{
			{Type: "aes256-gcm96", State: "enabled"}: 3, {Type: "aes256-gcm96", State: "retired"}: 1, {Type: "ed25519", State: "enabled"}: 2,
		},
		Versions: map[lifecycle.State]int{lifecycle.Active: 5, lifecycle.Deactivated: 7, lifecycle.Retired: 1},
		Drifting: map[string]int{"pci": 2, "other": 1},
		Soonest:  []census.Planned{{Key: "orders", At: start.Add(time.Hour)}}, Beyond: start.Add(24 * time.Hour),
	}
}

func TestGoldenCensusDecodes(t *testing.T) {
	got, err := load(t, map[string]string{"config/census": golden(t, "census")}).Census(ctx)
	require.NoError(t, err)
	require.Equal(t, goldenCensus(), got)
}

func TestACensusThatCannotBeReadIsNone(t *testing.T) {
	for _, damaged := range []string{"", "{", `{"schema":2}`} {
		got, err := load(t, map[string]string{"config/census": damaged}).Census(ctx)
		require.NoError(t, err, damaged)
		require.Zero(t, got, damaged)
	}
	got, err := newWorld().Census(ctx)
	require.NoError(t, err)
	require.Zero(t, got, "none is stored")
	w := newWorld()
	w.disk.FailGets("config/census")
	_, err = w.Census(ctx)
	require.ErrorContains(t, err, "get config/census", "it may be there")
}

// censused is a store.Watcher that has a census, and all that it was told.
type censused struct {
	*census.Census
	doubts int
}

func facts(k *lifecycle.Key) *census.Facts {
	if k == nil {
		return nil
	}
	return census.Of(k)
}

func (c *censused) Committed(name string, was, is *lifecycle.Key) {
	c.Census.Committed(name, facts(was), facts(is))
}

func (c *censused) Doubted(name string, was *lifecycle.Key) {
	c.doubts++
	c.Doubt(name, facts(was))
}

// watched is a world with a census that has seen all of its keys.
func (w *world) watched(t *testing.T) *censused {
	t.Helper()
	c := &censused{Census: census.New()}
	w.store.Watch(c)
	w.sweep(t, c)
	return c
}

// sweep is a round over all keys.
func (w *world) sweep(t *testing.T, c *censused) {
	t.Helper()
	names, err := w.KeyNames(ctx)
	require.NoError(t, err)
	c.Begin()
	for _, name := range names {
		require.NoError(t, w.LookAt(ctx, name, func(k lifecycle.Key) error {
			c.Look(name, facts(&k))
			return nil
		}))
	}
	c.Finish(start)
}

// requireCounted holds that the census is that of a full count.
func (w *world) requireCounted(t *testing.T, c *censused, why string) {
	t.Helper()
	full := &censused{Census: census.New()}
	w.sweep(t, full)
	require.Equal(t, full.Shown(), c.Shown(), why)
}

// TestEveryCommitIsCountedWhateverIsLost goes over acts, each write of which fails, lost or done. What became of an act may be unknown:
// then the next act on the key, or the next round, makes the count right.
func TestEveryCommitIsCountedWhateverIsLost(t *testing.T) {
	acts := map[string]func(w *world, attempt string) error{
		"create": createOrders("pci"), "rotate": rotateOrders, "suspend": update(func(k *lifecycle.Key) { k.Status.State = lifecycle.KeySuspended }),
		"delete": func(w *world, _ string) error { _, err := w.DeleteKey(ctx, "orders", anyKey, ""); return err },
	}
	for name, act := range acts {
		for _, applied := range []bool{false, true} {
			for at := 1; ; at++ {
				why := fmt.Sprintf("%s, applied=%v, write %d", name, applied, at)
				w := newWorld()
				w.putPolicy(t, "pci", "")
				w.create(t, "another", "")
				if name != "create" {
					w.create(t, "orders", "pci")
				}
				c := w.watched(t)
				w.disk.FailWrite(at, applied)
				err := act(w, "first")
				fired := w.disk.Fired()
				w.disk.Heal()
				if err == nil {
					w.requireCounted(t, c, why)
				}
				again(t, w, act)
				w.requireCounted(t, c, why+", and once more")
				w.sweep(t, c)
				w.requireCounted(t, c, why+", and a round")
				if !fired {
					require.Zero(t, c.doubts)
					break
				}
			}
		}
	}
}

// again does an act once more, unless it was done, and then one that makes known what the key is.
func again(t *testing.T, w *world, act func(w *world, attempt string) error) {
	t.Helper()
	_ = act(w, "second")
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		k.Owner += "x"
		return lifecycle.Commit{Key: k, Event: lifecycle.Event{Act: "configure"}}, nil
	})
	if err != nil { // it is gone; one that is made and deleted makes that known
		require.ErrorIs(t, err, refusal.ErrNotFound)
		require.NoError(t, createOrders("")(w, "third"))
		_, err = w.DeleteKey(ctx, "orders", anyKey, "")
		require.NoError(t, err)
	}
}

func TestALookAtAKeyWaitsForTheActOnItAndCostsOneRead(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.disk.Reset()
	require.NoError(t, w.LookAt(ctx, "orders", func(k lifecycle.Key) error { return nil }))
	require.Equal(t, storagetest.Counts{Gets: 1}, w.disk.Reset())
	require.ErrorIs(t, w.LookAt(ctx, "none", nil), refusal.ErrNotFound)

	acting, looked := make(chan struct{}), make(chan int)
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		go func() {
			close(acting)
			_ = w.LookAt(ctx, "orders", func(k lifecycle.Key) error {
				looked <- k.Revision
				return nil
			})
		}()
		<-acting
		k.Revision++
		return lifecycle.Commit{Key: k}, nil
	})
	require.NoError(t, err)
	require.Equal(t, 2, <-looked)
}
