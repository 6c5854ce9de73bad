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

// TestAReviewHasWhoIsAskedForWithoutUses, each once, and reads no shard for it.
func TestAReviewHasWhoIsAskedForWithoutUses(t *testing.T) {
	w := newWorld(0)
	also, want := []string{"user 1"}, []string{}
	for i := range 10 {
		user, idle := fmt.Sprint("user ", i), fmt.Sprint("idle ", i)
		w.use(user, orders, lifecycle.UseEncrypt, 1, 1)
		also, want = append(also, idle), append(want, user, idle)
	}
	w.tick(t)
	for _, limit := range []int{1, 3, 20} {
		var got []string
		for after := ""; len(got) == 0 || after != ""; {
			w.read = 0
			r := w.review(t, uses.Query{After: after, Limit: limit, Also: also})
			require.LessOrEqual(t, w.read, min(limit+1, 10), "a shard without uses is not read")
			for _, e := range r.Entities {
				require.NotContains(t, got, e.ID)
				got = append(got, e.ID)
				require.Equal(t, e.ID[:4] == "user", len(e.Keys) == 1, e.ID)
				require.True(t, e.Known, e.ID)
				require.False(t, e.Stale, "who has used nothing has stopped nothing")
			}
			if after = ""; r.More {
				after = got[len(got)-1]
			}
		}
		require.ElementsMatch(t, want, got, limit)
	}
	require.Len(t, w.review(t, uses.Query{Entity: "idle 1", Also: also}).Entities, 1)
	require.Empty(t, w.review(t, uses.Query{Entity: "idle 11", Also: also}).Entities)
	require.Len(t, w.review(t, uses.Query{Key: "orders", Also: also}).Entities, 10, "none of them used the key")
}
