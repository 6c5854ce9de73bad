// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/stretchr/testify/require"
)

// place moves the material of a version to where it belongs, as the engine does but for the sealing: written where it
// goes to before it is erased where it was.
func place(w *world) func(k lifecycle.Key, n int) error {
	return func(k lifecycle.Key, n int) error {
		v, err := w.Version(ctx, k.Name, n)
		if err != nil {
			return err
		}
		archived, err := w.Archived(ctx, k.Name, n)
		if err != nil && !errors.Is(err, refusal.ErrNotFound) {
			return err
		}
		bare := v
		bare.Sealed = nil
		switch where := lifecycle.LocationOf(k, n); {
		case where == lifecycle.InArchive && len(v.Sealed) > 0:
			return cmpErr(w.PutArchived(ctx, k.Name, v), func() error { return w.PutVersion(ctx, k.Name, bare) })
		case where == lifecycle.InUse && len(archived.Sealed) > 0:
			return cmpErr(w.PutVersion(ctx, k.Name, archived), func() error { return w.DropArchived(ctx, k.Name, n) })
		case where == lifecycle.Erased:
			return cmpErr(w.PutVersion(ctx, k.Name, bare), func() error { return w.DropArchived(ctx, k.Name, n) })
		}
		return nil
	}
}

func cmpErr(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

func settleNow(w *world, name string) error { return w.RelocateAsATick(ctx, name, place(w)) }

// checkPlace holds that the material of a version is where it belongs, unless a settlement is under way.
func checkPlace(t *testing.T, w *world, k lifecycle.Key, v lifecycle.Version) {
	t.Helper()
	if slices.Contains(w.settlements(t), k.Name) {
		return
	}
	_, err := w.Archived(ctx, k.Name, v.Number)
	archived := err == nil
	if err != nil {
		require.ErrorIs(t, err, refusal.ErrNotFound)
	}
	where := lifecycle.LocationOf(k, v.Number)
	require.Equal(t, where == lifecycle.InArchive, archived, "version %d is to be at %d", v.Number, where)
	require.Equal(t, where == lifecycle.InUse, len(v.Sealed) > 0, "version %d is to be at %d", v.Number, where)
}

// lifecycleOp applies an operation to versions 1 and 2 of the key, as one commit.
func lifecycleOp(op lifecycle.Op, at time.Time) func(w *world, attempt string) error {
	return func(w *world, _ string) error {
		_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
			c := lifecycle.Commit{Key: k, Event: lifecycle.Event{Act: string(op), Versions: []int{1, 2}}, Relocate: lifecycle.Range{From: 1, To: 2}}
			for v := 1; v <= 2; v++ {
				next, did, err := c.Key.Apply(op, v, lifecycle.Order{At: at, Rules: policy.EffectiveRules{DestroyDelay: time.Hour}})
				if err != nil {
					return c, err
				}
				c.Key, c.Event.From, c.Event.To = next, did.From, did.To
			}
			return c, nil
		})
		return err
	}
}

// withOps arranges a key of three versions, with operations done to the first two and settled.
func withOps(ops ...lifecycle.Op) func(t *testing.T, w *world) {
	return func(t *testing.T, w *world) {
		withKey(3, false)(t, w)
		for i, op := range ops {
			require.NoError(t, lifecycleOp(op, start.Add(time.Duration(i+1)*24*time.Hour))(w, ""))
			if i < len(ops)-1 {
				w.finish(t)
			}
		}
	}
}

// settleActs are the acts that move material, and the moving.
func settleActs() []act {
	const (
		archive, recover, retire, destroy = lifecycle.Archive, lifecycle.Recover, lifecycle.Retire, lifecycle.Destroy
		commit                            = custodyWrites + 2 // the intent, and the record
		moved                             = 2*2 + 1           // two versions, and the intent
	)
	later, refused := start.Add(30*24*time.Hour), refusal.ErrRefused
	settle := func(w *world, _ string) error { return settleNow(w, "orders") }
	settled := func(ops ...lifecycle.Op) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) { withOps(ops...)(t, w); w.finish(t) }
	}
	return []act{
		{name: "archive", arrange: settled(), do: lifecycleOp(archive, later), writes: commit, again: refused},
		{name: "archive while another settlement is open", arrange: withOps(archive, recover), do: lifecycleOp(archive, later), writes: commit, again: refused},
		{name: "recover", arrange: settled(archive), do: lifecycleOp(recover, later), writes: commit, again: refused},
		{name: "retire", arrange: settled(archive), do: lifecycleOp(retire, later), writes: commit, again: refused},
		{name: "destroy", arrange: settled(archive, retire), do: lifecycleOp(destroy, later), writes: commit, again: refused},
		{name: "move to the archive", arrange: withOps(archive), do: settle, writes: moved},
		{name: "move back", arrange: withOps(archive, recover), do: settle, writes: moved},
		{name: "stay in the archive", arrange: withOps(archive, retire), do: settle, writes: 1},
		{name: "erase", arrange: withOps(archive, retire, destroy), do: settle, writes: moved},
		{name: "delete while a settlement is open", arrange: withOps(archive), do: deleteOrders, writes: custodyWrites + 2 + 3 + 4, again: refusal.ErrNotFound},
		{name: "settle the journal", arrange: cutShort, do: func(w *world, _ string) error { _, err := w.JournalHead(ctx, "orders"); return err }, writes: 1},
	}
}

// cutShort arranges a rotation whose outcome is not recorded.
func cutShort(t *testing.T, w *world) {
	withKey(2, false)(t, w)
	w.disk.FailWriteAs(2, storagetest.Last)
	require.Error(t, rotateOrders(w, "lost"))
	w.disk.Heal()
	w.restart()
}
