// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
)

func TestAReviewSaysWhoIsStale(t *testing.T) {
	w := newWorld(0)
	w.use("alice", orders, lifecycle.UseEncrypt, 1, 1)
	w.use("bob", orders, lifecycle.UseEncrypt, 1, 1)
	w.use("gone", cards, lifecycle.UseEncrypt, 1, 1)
	w.tick(t)
	w.pass(91 * 24 * time.Hour)
	w.use("alice", cards, lifecycle.UseEncrypt, 1, 1)
	quarter := 90 * 24 * time.Hour
	by := map[string]uses.Reviewed{}
	for _, e := range w.review(t, uses.Query{UnusedFor: quarter}).Entities {
		by[e.ID] = e
	}
	require.False(t, by["alice"].Stale)
	require.True(t, by["alice"].Keys[1].Stale, "orders")
	require.False(t, by["alice"].Keys[0].Stale, "cards")
	require.True(t, by["bob"].Stale)
	require.True(t, by["bob"].Known)
	require.Equal(t, "name of bob", by["bob"].Name)
	require.Equal(t, []string{"team"}, by["bob"].Groups)
	require.False(t, by["gone"].Known)
	only := w.review(t, uses.Query{UnusedFor: quarter, Key: "cards"})
	require.Len(t, only.Entities, 2)
	for _, e := range only.Entities {
		require.Len(t, e.Keys, 1)
	}
	require.Len(t, w.review(t, uses.Query{Entity: "bob"}).Entities, 1)
	require.Empty(t, w.review(t, uses.Query{Entity: "mallory"}).Entities)
}

func TestPagesOfAReviewHaveEachEntityOnce(t *testing.T) {
	w := newWorld(0)
	want := []string{}
	for i := range 40 {
		want = append(want, fmt.Sprint("entity ", i))
		w.use(want[i], orders, lifecycle.UseEncrypt, 1, 1)
		if i == 20 {
			w.tick(t)
		}
	}
	for _, limit := range []int{1, 7, 40, 41} {
		var got []string
		after, pages := "", 0
		for {
			w.asked = nil
			r := w.review(t, uses.Query{After: after, Limit: limit})
			require.LessOrEqual(t, len(r.Entities), limit)
			require.LessOrEqual(t, len(w.asked), limit, "Vault is asked for those of the page")
			for _, e := range r.Entities {
				got = append(got, e.ID)
			}
			if pages++; !r.More {
				break
			}
			after = got[len(got)-1]
		}
		require.ElementsMatch(t, want, got)
		require.Equal(t, (40+limit-1)/limit, pages)
	}
}
