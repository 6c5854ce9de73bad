// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"errors"
	"math"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// placed settles the key once and returns for which versions.
func placed(t testing.TB, w *world, name string) []int {
	t.Helper()
	var versions []int
	require.NoError(t, w.RelocateAsATick(ctx, name, func(k lifecycle.Key, n int) error {
		require.Equal(t, name, k.Name)
		versions = append(versions, n)
		return nil
	}))
	return versions
}

// settle is an act that leaves material to be moved.
func settle(from, to int) func(k lifecycle.Key) (lifecycle.Commit, error) {
	return func(k lifecycle.Key) (lifecycle.Commit, error) {
		k.Revision++
		return lifecycle.Commit{Key: k, Event: lifecycle.Event{Act: "archive"}, Relocate: lifecycle.Range{From: from, To: to}}, nil
	}
}

func (w *world) settle(t *testing.T, from, to int) {
	t.Helper()
	_, err := w.UpdateKey(ctx, "orders", settle(from, to))
	require.NoError(t, err)
}

func numbers(from, to int) []int {
	var all []int
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

func TestMaterialIsSettledOnce(t *testing.T) {
	w := newWorld()
	withKey(5, false)(t, w)
	require.Empty(t, placed(t, w, "orders"), "nothing was asked for")
	w.settle(t, 2, 4)
	names, err := w.PendingRelocations(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"orders"}, names)
	require.Equal(t, []int{2, 3, 4}, placed(t, w, "orders"))
	require.Empty(t, placed(t, w, "orders"))
	names, err = w.PendingRelocations(ctx)
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestADamagedIntentIsOneOverTheWholeKey(t *testing.T) {
	for _, damaged := range []string{"{broken", "", "7", `{"schema":1}`, `{"schema":1,"from":0,"to":3}`, `{"schema":1,"from":3,"to":2}`, `{"schema":1,"from":"s3cr3t"}`} {
		intent := map[string]string{"keys/orders": golden(t, "key"), "intents/settle/orders": damaged}
		w := load(t, intent)
		unsettled := w.displaced(t, "orders")
		require.Equal(t, lifecycle.Range{From: 1, To: math.MaxInt32}, unsettled)
		require.Equal(t, []int{1, 2, 3}, placed(t, w, "orders"))
		require.NotContains(t, w.entries(t), "intents/settle/orders")
	}
}

func TestSettlingGoesOnOverSeveralCalls(t *testing.T) {
	w := newWorld()
	w.old(t, "orders", "", 150)
	w.settle(t, 1, 150)
	require.Equal(t, numbers(1, 64), placed(t, w, "orders"))
	w.restart()
	require.Equal(t, numbers(65, 128), placed(t, w, "orders"))
	require.Equal(t, numbers(129, 150), placed(t, w, "orders"))
	require.Empty(t, placed(t, w, "orders"))
}

func TestOpenSettlementIsWidened(t *testing.T) {
	w := newWorld()
	w.old(t, "orders", "", 150)
	w.settle(t, 80, 90)
	w.settle(t, 100, 110)
	w.settle(t, 85, 85)
	require.Equal(t, numbers(80, 110), placed(t, w, "orders"))

	w.settle(t, 1, 150)
	require.Equal(t, numbers(1, 64), placed(t, w, "orders"))
	w.settle(t, 10, 10) // again, though the cursor has passed it
	require.Equal(t, numbers(10, 73), placed(t, w, "orders"))
}

func TestSettlingThatFailsIsDoneAgain(t *testing.T) {
	w := newWorld()
	withKey(5, false)(t, w)
	w.settle(t, 1, 5)
	refusal := errors.New("not now")
	require.ErrorIs(t, w.RelocateAsATick(ctx, "orders", func(_ lifecycle.Key, n int) error {
		if n == 3 {
			return refusal
		}
		return nil
	}), refusal)
	require.Equal(t, numbers(1, 5), placed(t, w, "orders"))
}

func TestSettlingIsForVersionsThatThereAre(t *testing.T) {
	w := newWorld()
	withKey(3, false)(t, w)
	w.settle(t, 2, 100)
	require.Equal(t, []int{2, 3}, placed(t, w, "orders"))
	require.Empty(t, w.settlements(t))
	w.plant(t, "intents/settle/orders", `{"schema":1,"from":200,"to":300}`)
	require.Empty(t, placed(t, w, "orders"))
	require.Empty(t, w.settlements(t))
}

func (w *world) settlements(t *testing.T) []string {
	t.Helper()
	names, err := w.PendingRelocations(ctx)
	require.NoError(t, err)
	return names
}

// TestActThatDidNotCommitLeavesASettlementThatIsHarmless is about the intent, which comes before the record.
func TestActThatDidNotCommitLeavesASettlementThatIsHarmless(t *testing.T) {
	w := newWorld()
	withKey(3, false)(t, w)
	before, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	w.disk.FailWrite(3, false) // custody, intent, record
	_, err = w.UpdateKey(ctx, "orders", settle(1, 2))
	require.Error(t, err)
	w.disk.Heal()
	require.NoError(t, w.RelocateAsATick(ctx, "orders", func(k lifecycle.Key, _ int) error {
		require.Equal(t, before, k, "the record is the truth")
		return nil
	}))
	require.Empty(t, w.settlements(t))
}

func TestKeyDeletedWhileItIsBeingSettledIsErasedWhole(t *testing.T) {
	w := newWorld()
	withKey(3, true)(t, w)
	w.settle(t, 1, 3)
	require.NoError(t, w.PutArchived(ctx, "orders", lifecycle.Version{KeyID: "id", Number: 1, Sealed: []byte("x")}))
	require.NoError(t, addDenied(w))
	require.NoError(t, deleteOrders(w, ""))
	require.Empty(t, w.of(t, "orders"))

	w.plant(t, "intents/settle/orders", golden(t, "settle"))
	require.Empty(t, placed(t, w, "orders"), "there is no key")
	require.Empty(t, w.of(t, "orders"))
}

func TestArchiveKeepsVersionsApart(t *testing.T) {
	w := newWorld()
	withKey(2, false)(t, w)
	inUse, err := w.Version(ctx, "orders", 1)
	require.NoError(t, err)
	archived := filled(t, func(v *lifecycle.Version) { v.Number = 1 })
	require.NoError(t, w.PutArchived(ctx, "orders", archived))
	got, err := w.Archived(ctx, "orders", 1)
	require.NoError(t, err)
	require.Equal(t, archived, got)
	still, err := w.Version(ctx, "orders", 1)
	require.NoError(t, err)
	require.Equal(t, inUse, still)

	inUse.Sealed = nil // moved
	require.NoError(t, w.PutVersion(ctx, "orders", inUse))
	still, err = w.Version(ctx, "orders", 1)
	require.NoError(t, err)
	require.Empty(t, still.Sealed)
	require.Equal(t, inUse.Fingerprint, still.Fingerprint)

	require.NoError(t, w.DropArchived(ctx, "orders", 1))
	_, err = w.Archived(ctx, "orders", 1)
	require.ErrorIs(t, err, refusal.ErrNotFound)
}

func TestWhatIsLeftToBeSettledCanBeAsked(t *testing.T) {
	w := newWorld()
	withKey(70, false)(t, w)
	place := func(lifecycle.Key, int) error { return nil }
	for _, want := range []struct {
		unsettled lifecycle.Range
		left      bool
	}{{lifecycle.Range{From: 3, To: 70}, true}, {lifecycle.Range{From: 67, To: 70}, false}, {}} {
		if want.unsettled.From == 3 {
			w.settle(t, 3, 70)
		}
		got := w.displaced(t, "orders")
		require.Equal(t, want.unsettled, got)
		left, err := w.Relocate(ctx, "orders", place)
		require.NoError(t, err)
		require.Equal(t, want.left, left)
	}
}

func (w *world) displaced(t testing.TB, name string) lifecycle.Range {
	t.Helper()
	k, err := w.Key(ctx, name)
	require.NoError(t, err)
	displaced, err := w.Displaced(ctx, k)
	require.NoError(t, err)
	return displaced
}

func TestThatNothingIsDisplacedIsRememberedOfARevision(t *testing.T) {
	w := newWorld()
	withKey(3, false)(t, w)
	require.Zero(t, w.displaced(t, "orders"))
	w.disk.Reset()
	require.Zero(t, w.displaced(t, "orders"))
	require.Equal(t, 1, w.disk.Reset().Gets, "of the key alone")
	w.settle(t, 1, 2)
	require.Equal(t, lifecycle.Range{From: 1, To: 2}, w.displaced(t, "orders"))
}
