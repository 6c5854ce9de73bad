// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"sync/atomic"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// asking is a request for a block of ten encryptions with version 1 of the key, which may have a hundred.
func asking(k lifecycle.Key) lifecycle.LeaseRequest {
	return lifecycle.LeaseRequest{
		KeyID: k.ID, Version: 1, Need: policy.Usage{Encryptions: 1, Bytes: 7}, Want: policy.Usage{Encryptions: 10, Bytes: 100},
		Most: policy.Limits{Encryptions: 100},
	}
}

func TestALeaseAddsToWhatWasLeasedUntilTheLimitsLeaveNoRoom(t *testing.T) {
	w := newWorld()
	k := w.create(t, "orders", "")
	block := policy.Usage{Encryptions: 10, Bytes: 100}
	var sum policy.Usage
	for range 10 {
		granted, before, err := w.Lease(ctx, "orders", asking(k))
		require.NoError(t, err)
		require.Equal(t, block, granted)
		require.Equal(t, sum, before)
		sum = sum.Plus(granted)
		leased, err := w.Leased(ctx, "orders", k.ID, 1)
		require.NoError(t, err)
		require.Equal(t, sum, leased)
	}
	stored := w.entries(t)
	granted, before, err := w.Lease(ctx, "orders", asking(k))
	require.NoError(t, err)
	require.Zero(t, granted)
	require.Equal(t, sum, before)
	require.Equal(t, stored, w.entries(t))
	other, err := w.Leased(ctx, "orders", k.ID, 2)
	require.NoError(t, err)
	require.Zero(t, other, "each version has its own")
}

func TestALeaseOfAnotherKeyOfTheNameCountsForNothing(t *testing.T) {
	w := newWorld()
	k := w.create(t, "orders", "")
	w.plant(t, "leases/orders/1", `{"schema":1,"key_id":"before","encryptions":95,"bytes":9,"of_a_newer_release":true}`)
	leased, err := w.Leased(ctx, "orders", k.ID, 1)
	require.NoError(t, err)
	require.Zero(t, leased)
	granted, before, err := w.Lease(ctx, "orders", asking(k))
	require.NoError(t, err)
	require.Zero(t, before)
	require.EqualValues(t, 10, granted.Encryptions)
	require.JSONEq(t, `{"schema":1,"key_id":"`+k.ID+`","encryptions":10,"bytes":100}`, w.entries(t)["leases/orders/1"])
}

func TestNothingIsLeasedOfAKeyThatIsGone(t *testing.T) {
	w := newWorld()
	old := w.create(t, "orders", "")
	old.ID = "before"
	stored := w.entries(t)
	for name, k := range map[string]lifecycle.Key{"orders": old, "none": old} {
		_, _, err := w.Lease(ctx, name, asking(k))
		require.ErrorIs(t, err, refusal.ErrNotFound)
	}
	require.Equal(t, stored, w.entries(t))
}

func TestALeaseKeepsTheFieldsOfANewerRelease(t *testing.T) {
	w := newWorld()
	k := w.create(t, "orders", "")
	w.plant(t, "leases/orders/1", `{"schema":1,"key_id":"`+k.ID+`","encryptions":5,"bytes":9,"of_a_newer_release":true}`)
	_, _, err := w.Lease(ctx, "orders", asking(k))
	require.NoError(t, err)
	require.JSONEq(t, `{"schema":1,"key_id":"`+k.ID+`","encryptions":15,"bytes":109,"of_a_newer_release":true}`, w.entries(t)["leases/orders/1"])
}

// TestTwoLeasesAtTheSameTimeAreBothCounted has the second one come when the first has read what was leased and not
// written yet.
func TestTwoLeasesAtTheSameTimeAreBothCounted(t *testing.T) {
	w := newWorld()
	k := w.create(t, "orders", "")
	var once, done atomic.Bool
	second := make(chan error, 1)
	slow := w.store.On(hooked{w.disk, "leases/orders/1", func() {
		if once.Swap(true) {
			return
		}
		go func() {
			_, _, err := w.Lease(ctx, "orders", asking(k))
			second <- err
			done.Store(true)
		}()
		giveWay(&done)
	}}, who)
	_, _, err := slow.Leases().Lease(ctx, "orders", asking(k))
	require.NoError(t, err)
	require.NoError(t, <-second)
	leased, err := w.Leased(ctx, "orders", k.ID, 1)
	require.NoError(t, err)
	require.EqualValues(t, 20, leased.Encryptions)
}

// TestNothingIsLeasedOfAKeyWhileItIsDeleted has a lease come when the deletion is being committed: it would outlive the
// key.
func TestNothingIsLeasedOfAKeyWhileItIsDeleted(t *testing.T) {
	w := newWorld()
	k := w.create(t, "orders", "")
	var done atomic.Bool
	deletion := make(chan error, 1)
	slow := w.store.On(hooked{w.disk, "leases/orders/1", func() {
		go func() {
			_, err := w.DeleteKey(ctx, "orders", anyKey, "")
			deletion <- err
			done.Store(true)
		}()
		giveWay(&done)
	}}, who)
	_, _, err := slow.Leases().Lease(ctx, "orders", asking(k))
	require.NoError(t, err)
	require.NoError(t, <-deletion)
	require.Empty(t, w.of(t, "orders"))
}
