// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

func nothing(*testing.T, *world) {}

// withKey arranges a key of so many versions, bound to policy "pci" where bound is set. There is also a policy "other".
func withKey(versions int, bound bool) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.putPolicy(t, "pci", "")
		w.putPolicy(t, "other", "")
		policy := ""
		if bound {
			policy = "pci"
		}
		w.create(t, "orders", policy)
		w.growUnrecorded(t, "orders", versions)
	}
}

// update is for acts that change the key "orders".
func update(change func(k *lifecycle.Key)) func(w *world, attempt string) error {
	return func(w *world, _ string) error {
		_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
			change(&k)
			return lifecycle.Commit{Key: k, Event: lifecycle.Event{Act: "configure"}}, nil
		})
		return err
	}
}

func rotateOrders(w *world, attempt string) error {
	_, err := w.UpdateKey(ctx, "orders", rotate(attempt))
	return err
}

func createOrders(policy string) func(w *world, attempt string) error {
	return func(w *world, attempt string) error {
		k, err := lifecycle.New(lifecycle.Key{ID: "id " + attempt, Name: "orders", Type: keytype.Default, Policy: policy}, start)
		if err != nil {
			return err
		}
		k.Due = start.Add(time.Hour)
		return w.CreateKey(ctx, creation(k, version(k, attempt)))
	}
}

func rotateAndMove(w *world, attempt string) error {
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		c, err := rotate(attempt)(k)
		c.Key.Due = k.Due.Add(time.Hour)
		return c, err
	})
	return err
}

// restoreOrders makes the key "orders" with so many versions at once.
func restoreOrders(versions int, policy string) func(w *world, attempt string) error {
	return func(w *world, attempt string) error {
		dates := make([]time.Time, versions)
		for i := range dates {
			dates[i] = start.Add(time.Duration(i) * time.Hour)
		}
		spec := lifecycle.Key{
			ID: "id " + attempt, Name: "orders", Type: keytype.Default, Policy: policy, Latest: versions, Primary: versions, MinDecryption: 1,
		}
		k, err := lifecycle.Restored(spec, dates, start.Add(time.Duration(versions)*time.Hour))
		if err != nil {
			return err
		}
		k.Due = start.Add(time.Hour)
		c := lifecycle.Commit{Key: k, Event: lifecycle.Event{Act: "restore-backup", From: "none", To: "active", Policy: k.Policy}}
		for n := 1; n <= versions; n++ {
			v := version(k, attempt)
			v.Number, v.Created, v.Sealed = n, dates[n-1], fmt.Appendf(nil, "%s %d", attempt, n)
			c.Restored = append(c.Restored, v)
		}
		return w.CreateKey(ctx, c)
	}
}

// TestARestoredKeyHasItsPagesOfDates: many leave the record at once.
func TestARestoredKeyHasItsPagesOfDates(t *testing.T) {
	for _, versions := range []int{store.PageSize - 1, store.PageSize, 2*store.PageSize + 3} {
		w := newWorld()
		require.NoError(t, restoreOrders(versions, "")(w, "first"))
		checkWhole(t, w)
		k, err := w.Key(ctx, "orders")
		require.NoError(t, err)
		require.Len(t, k.Recent, versions%store.PageSize)
		require.NoError(t, rotateOrders(w, "next"))
		checkWhole(t, w)
	}
}

// TestNothingIsLeftOfARestoreThatDidNotCommit: the tick erases what was written.
func TestNothingIsLeftOfARestoreThatDidNotCommit(t *testing.T) {
	const intent, versions, due = 1, 3, 1
	for at := custodyWrites; at <= custodyWrites+intent+versions+due; at++ {
		w := newWorld()
		w.disk.FailWriteAs(at, storagetest.Last)
		require.Error(t, restoreOrders(versions, "")(w, "first"), "write %d", at)
		w.disk.Heal()
		w.restart()
		w.finish(t)
		require.Empty(t, w.of(t, "orders"), "write %d", at)
	}
}

// custodyWrites is what custody adds to every act: the record that it begins, and the one that it ended.
const custodyWrites = 2

func keyActs() []act {
	later := start.Add(2 * time.Hour)
	return []act{
		{name: "create", arrange: nothing, do: createOrders(""), writes: custodyWrites + 3, again: refusal.ErrExists},
		{name: "create bound", arrange: func(t *testing.T, w *world) { w.putPolicy(t, "pci", "") }, do: createOrders("pci"), writes: custodyWrites + 4, again: refusal.ErrExists},
		{name: "restore", arrange: nothing, do: restoreOrders(3, ""), writes: custodyWrites + 1 + 3 + 2 + 1, again: refusal.ErrExists},
		{name: "restore bound", arrange: func(t *testing.T, w *world) { w.putPolicy(t, "pci", "") }, do: restoreOrders(3, "pci"), writes: custodyWrites + 1 + 3 + 3 + 1, again: refusal.ErrExists},
		{name: "rotate", arrange: withKey(3, true), do: rotateOrders, writes: custodyWrites + 2},
		{name: "rotate and move", arrange: withKey(3, true), do: rotateAndMove, writes: custodyWrites + 4},
		{name: "rotate to a full page", arrange: withKey(store.PageSize-1, false), do: rotateOrders, writes: custodyWrites + 3},
		{name: "rotate over a full page", arrange: withKey(store.PageSize, false), do: rotateOrders, writes: custodyWrites + 2},
		{name: "rotate to a second full page", arrange: withKey(2*store.PageSize-1, false), do: rotateAndMove, writes: custodyWrites + 5},
		{name: "set an owner", arrange: withKey(2, true), do: update(func(k *lifecycle.Key) { k.Owner = "else" }), writes: custodyWrites + 1},
		{name: "change nothing", arrange: withKey(2, true), do: update(func(*lifecycle.Key) {}), writes: 0},
		{name: "bind", arrange: withKey(2, false), do: update(func(k *lifecycle.Key) { k.Policy = "pci" }), writes: custodyWrites + 2},
		{name: "bind to another", arrange: withKey(2, true), do: update(func(k *lifecycle.Key) { k.Policy = "other" }), writes: custodyWrites + 3},
		{name: "unbind", arrange: withKey(2, true), do: update(func(k *lifecycle.Key) { k.Policy = "" }), writes: custodyWrites + 2},
		{name: "move in the due index", arrange: withKey(2, false), do: update(func(k *lifecycle.Key) { k.Due = later }), writes: custodyWrites + 3},
		{name: "move within a minute", arrange: withKey(2, false), do: update(func(k *lifecycle.Key) { k.Due = k.Due.Truncate(time.Minute).Add(time.Second) }), writes: custodyWrites + 1},
		{name: "leave the due index", arrange: withKey(2, false), do: update(func(k *lifecycle.Key) { k.Due = time.Time{} }), writes: custodyWrites + 2},
		{name: "bind and move", arrange: withKey(2, false), do: update(func(k *lifecycle.Key) { k.Policy, k.Due = "pci", later }), writes: custodyWrites + 4},
	}
}

// halfDeleted arranges what a deletion leaves that was cut short after so many writes: the custody record that it
// begins, the intent, the record of the key, the custody record that it ended, and the versions.
func halfDeleted(writes int) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		withKey(3, true)(t, w)
		w.disk.FailWriteAs(writes+1, storagetest.Last)
		_, err := w.DeleteKey(ctx, "orders", anyKey, "")
		require.Error(t, err)
		w.disk.Heal()
	}
}

func deleteOrders(w *world, _ string) error {
	_, err := w.DeleteKey(ctx, "orders", anyKey, "")
	return err
}

func finishOrders(w *world, _ string) error { return w.FinishErasure(ctx, "orders") }

func deleteActs() []act {
	gone := refusal.ErrNotFound
	const (
		commit = 2     // the intent, and the record
		rest   = 1 + 3 // the entry of the due index, and what else there may be of a key: settle intent, usage, erase intent
		bound  = 1
	)
	return []act{
		{name: "delete", arrange: withKey(3, false), do: deleteOrders, writes: custodyWrites + commit + 3 + rest, again: gone},
		{name: "delete bound", arrange: withKey(3, true), do: deleteOrders, writes: custodyWrites + commit + 3 + rest + bound, again: gone},
		{name: "delete with a page", arrange: withKey(store.PageSize, false), do: deleteOrders, writes: custodyWrites + commit + store.PageSize + 1 + rest, again: gone},
		{name: "delete again", arrange: halfDeleted(5), do: deleteOrders, writes: 2 + rest + bound, again: gone},
		{name: "delete after one that did not commit", arrange: halfDeleted(2), do: deleteOrders, writes: 1 + custodyWrites + commit + 3 + rest + bound, again: gone},
		{name: "finish an erasure", arrange: halfDeleted(5), do: finishOrders, writes: 2 + rest + bound},
		{name: "drop the intent of a deletion that did not commit", arrange: halfDeleted(2), do: finishOrders, writes: 1},
		{name: "restore over a half-deleted key", arrange: halfDeleted(5), do: restoreOrders(2, ""), writes: 2 + rest + bound + custodyWrites + 1 + 2 + 2 + 1, again: refusal.ErrExists},
		{name: "create over a half-deleted key", arrange: halfDeleted(5), do: createOrders("pci"), writes: 2 + rest + bound + custodyWrites + 4, again: refusal.ErrExists},
	}
}

// TestDeletionIsAllOrNothing is the part of the crash loop that is special to deletions.
func TestDeletionIsAllOrNothing(t *testing.T) {
	w := newWorld()
	withKey(3, true)(t, w)
	before := w.entries(t)
	ways := map[string]func(*world) error{
		"the tick finishes":     func(w *world) error { return finishOrders(w, "") },
		"the operator tries on": func(w *world) error { return deleteOrders(w, "") },
	}
	for name, again := range ways {
		for _, applied := range []bool{false, true} {
			for at := 1; at <= 12; at++ {
				w := load(t, before)
				store.Trust(w.store)
				w.disk.FailWrite(at, applied)
				done := at == 4 || at == 3 && applied // the outcome in custody, or what is found out at once
				if err := deleteOrders(w, ""); !done {
					require.Error(t, err, "write %d", at)
				}
				w.disk.Heal()
				w.restart()
				_, err := w.Key(ctx, "orders")
				stands := err == nil
				if err := again(w); (at < 12 || !applied) && !done {
					require.NoError(t, err, "write %d, applied %v: %s", at, applied, name)
				}
				if stands && name == "the tick finishes" {
					require.Equal(t, beside(before, "journal/"), beside(w.entries(t), "journal/"), "write %d: the key is whole and the intent gone", at)
					continue
				}
				require.Empty(t, w.of(t, "orders"), "write %d, applied %v: %s", at, applied, name)
			}
		}
	}
}

// beside returns the entries that are not below the prefix.
func beside(entries map[string]string, prefix string) map[string]string {
	rest := maps.Clone(entries)
	maps.DeleteFunc(rest, func(path, _ string) bool { return strings.HasPrefix(path, prefix) })
	return rest
}
