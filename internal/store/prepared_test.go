// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/store"
)

// unprepared is the error of an act that has to ask somebody first.
type unprepared struct {
	prepare   func(ctx context.Context) error
	overtaken int
}

func (u *unprepared) Error() string                     { return "not prepared" }
func (u *unprepared) Prepare(ctx context.Context) error { return u.prepare(ctx) }
func (u *unprepared) Overtaken()                        { u.overtaken++ }

// before returns an act that asks once before it does what act does. It counts how often it was asked.
func (u *unprepared) before(act store.Act, asked *int) store.Act {
	return func(k lifecycle.Key) (lifecycle.Commit, error) {
		if *asked++; *asked == 1 {
			return lifecycle.Commit{}, u
		}
		return act(k)
	}
}

func TestAKeyIsReadOnceForAnActThatIsPreparedWhereNobodyElseWrites(t *testing.T) {
	cost := func(act store.Act) (gets, writes int) {
		w := newWorld()
		w.create(t, "orders", "")
		w.disk.Reset()
		_, err := w.UpdateKey(ctx, "orders", act)
		require.NoError(t, err)
		counts := w.disk.Reset()
		return counts.Gets, counts.Writes()
	}
	wantGets, wantWrites := cost(rotate("second"))
	asked, prepared := 0, false
	u := &unprepared{prepare: func(context.Context) error { prepared = true; return nil }}
	gets, writes := cost(u.before(rotate("second"), &asked))
	require.True(t, prepared)
	require.Equal(t, 2, asked)
	require.Zero(t, u.overtaken)
	require.Equal(t, wantGets, gets)
	require.Equal(t, wantWrites, writes)
}

func TestOthersWriteTheKeyWhileAnActIsPreparedAndItIsAskedAboutTheKeyAsItIsThen(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	asked := 0
	u := &unprepared{prepare: func(ctx context.Context) error {
		_, err := w.UpdateKey(ctx, "orders", rotate("of another"))
		return err
	}}
	k, err := w.UpdateKey(ctx, "orders", u.before(func(k lifecycle.Key) (lifecycle.Commit, error) {
		require.Equal(t, 2, k.Latest)
		return rotate("mine")(k)
	}, &asked))
	require.NoError(t, err)
	require.Equal(t, 3, k.Latest)
	require.Equal(t, 1, u.overtaken)
	require.Zero(t, store.Held(w.store))
}

func TestAnActThatCannotBePreparedWritesNothing(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	before := w.entries(t)
	failed := errors.New("the request has ended")
	asked := 0
	u := &unprepared{prepare: func(context.Context) error { return failed }}
	_, err := w.UpdateKey(ctx, "orders", u.before(rotate("x"), &asked))
	require.ErrorIs(t, err, failed)
	require.Equal(t, 1, asked)
	require.Equal(t, before, w.entries(t))
	require.Zero(t, store.Held(w.store))
}

func TestAPanicWhileAnActIsPreparedLeavesNoLock(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	asked := 0
	u := &unprepared{prepare: func(context.Context) error { panic("boom") }}
	require.Panics(t, func() { _, _ = w.UpdateKey(ctx, "orders", u.before(rotate("x"), &asked)) })
	require.Zero(t, store.Held(w.store))
	_, err := w.UpdateKey(ctx, "orders", rotate("x"))
	require.NoError(t, err)
}

// TestAWriteThatFailedMeanwhileIsSettledFirst is about a writer that came between and does not know what became of its write.
func TestAWriteThatFailedMeanwhileIsSettledFirst(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	asked := 0
	u := &unprepared{prepare: func(ctx context.Context) error {
		w.disk.FailWrite(3, true) // custody, version, record: it is written, and reported as failed
		defer w.disk.Heal()
		_, err := w.UpdateKey(ctx, "orders", rotate("of another"))
		return err
	}}
	k, err := w.UpdateKey(ctx, "orders", u.before(rotate("mine"), &asked))
	require.NoError(t, err)
	require.Equal(t, 3, k.Latest)
}

func TestMaterialIsPlacedWhileOthersWriteTheKey(t *testing.T) {
	for _, others := range []bool{false, true} {
		w := newWorld()
		withKey(5, false)(t, w)
		w.settle(t, 2, 4)
		u := &unprepared{prepare: func(ctx context.Context) error {
			if others {
				_, err := w.UpdateKey(ctx, "orders", configure(func(k *lifecycle.Key) { k.Owner = "other" }))
				return err
			}
			return nil
		}}
		asked := map[int]int{}
		w.disk.Reset()
		left, err := w.Relocate(ctx, "orders", func(k lifecycle.Key, n int) error {
			require.Equal(t, others && asked[3] > 0, k.Owner == "other")
			if asked[n]++; n == 3 && asked[n] == 1 {
				return u
			}
			return nil
		})
		require.NoError(t, err)
		require.False(t, left)
		require.NotContains(t, w.entries(t), "intents/settle/orders")
		if others {
			require.Equal(t, map[int]int{2: 2, 3: 2, 4: 1}, asked, "it begins anew")
			require.Equal(t, 1, u.overtaken)
			continue
		}
		require.Equal(t, map[int]int{2: 1, 3: 2, 4: 1}, asked)
		require.Equal(t, 2, w.disk.Reset().Gets, "the intent and the key, once")
	}
}
