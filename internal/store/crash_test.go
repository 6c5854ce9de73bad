// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// act is one change of storage. Every act runs through the crash loop below.
type act struct {
	name    string
	arrange func(t *testing.T, w *world)
	do      func(w *world, attempt string) error // attempt tells apart what the tries would write
	writes  int                                  // how many it makes, each of which is made to fail
	again   error                                // what a try after a committed one says; nil: it succeeds
}

// acts is every act of the store that writes.
func acts() []act {
	return slices.Concat(keyActs(), deleteActs(), settleActs(), policyActs(), mountActs(), approverActs(), reviewActs())
}

func TestEveryActSurvivesACrashAtEveryWrite(t *testing.T) {
	for i, a := range acts() {
		if racetest.Spared(t, i+8) { // those that are left need no page of dates, which takes long
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			w := newWorld()
			a.arrange(t, w)
			before := w.entries(t)
			store.Trust(w.store)
			w.disk.Reset()
			require.NoError(t, a.do(w, "first"))
			require.Equal(t, a.writes, w.disk.Reset().Writes())
			checkWhole(t, w)
			after := w.entries(t)
			for _, fate := range storagetest.Fates() {
				for at := 1; at <= a.writes; at++ {
					t.Run(fmt.Sprintf("write %d %s", at, fate), func(t *testing.T) { a.crash(t, before, after, at, fate) })
				}
			}
		})
	}
}

// crash runs the act with one failing write, then again.
func (a act) crash(t *testing.T, before, after map[string]string, at int, fate storagetest.Fate) {
	w := load(t, before)
	store.Trust(w.store)
	w.disk.FailWriteAs(at, fate)
	err := a.do(w, "first")
	require.True(t, w.disk.Fired())
	w.disk.Heal()
	if err != nil {
		require.ErrorIs(t, err, storagetest.ErrInjected, "the cause is kept")
	}

	w.restart()
	checkRecords(t, before, after, w.entries(t), err == nil)
	w.finish(t)
	checkWhole(t, w)
	committed := w.committed(t)

	if err := a.do(w, "second"); a.again == nil || !errors.Is(err, a.again) {
		require.NoError(t, err, "the act can be done after a failure")
	}
	w.finish(t)
	checkWhole(t, w)
	for version, sealed := range w.committed(t) {
		if old, ok := committed[version]; ok && sealed != "" {
			require.Equal(t, old, sealed, "%s was given twice", version)
		}
	}
}

// checkRecords holds every commit point to one of the two states it may be in; to the second if the act succeeded.
func checkRecords(t *testing.T, before, after, now map[string]string, done bool) {
	t.Helper()
	all := maps.Clone(before)
	maps.Copy(all, after)
	maps.Copy(all, now)
	for path := range all {
		if !strings.HasPrefix(path, "keys/") && !strings.HasPrefix(path, "policies/") && !strings.HasPrefix(path, "config/") {
			continue
		}
		if done {
			require.Equal(t, after[path], now[path], path)
		}
		require.Contains(t, []string{before[path], after[path]}, now[path], path)
	}
}

// committed returns the sealed material of every version that a record stands for.
func (w *world) committed(t *testing.T) map[string]string {
	t.Helper()
	names, err := w.KeyNames(ctx)
	require.NoError(t, err)
	all := map[string]string{}
	for _, name := range names {
		k, err := w.Key(ctx, name)
		require.NoError(t, err)
		for n := 1; n <= k.Latest; n++ {
			v, err := w.Version(ctx, name, n)
			require.NoError(t, err)
			if archived, err := w.Archived(ctx, name, n); err == nil {
				v = archived
			}
			all[fmt.Sprintf("%s %d", k.ID, n)] = string(v.Sealed)
		}
	}
	return all
}

// checkWhole holds storage, at rest, to what every reader relies on.
func checkWhole(t *testing.T, w *world) {
	t.Helper()
	names, err := w.KeyNames(ctx)
	require.NoError(t, err)
	for _, name := range names {
		k, err := w.Key(ctx, name)
		require.NoError(t, err)
		checkKey(t, w, k)
	}
	policies, err := w.PolicyNames(ctx)
	require.NoError(t, err)
	for _, name := range policies {
		checkPolicy(t, w, name)
	}
	checkCustody(t, w)
}

func checkKey(t *testing.T, w *world, k lifecycle.Key) {
	t.Helper()
	for n := 1; n <= k.Latest; n++ {
		v, err := w.Version(ctx, k.Name, n)
		require.NoError(t, err)
		require.Equal(t, k.ID, v.KeyID)
		require.Equal(t, n, v.Number)
		checkPlace(t, w, k, v)
	}
	dates, err := w.Dates(ctx, k, 1)
	require.NoError(t, err)
	require.Equal(t, datesOf(1, k.Latest), dates)
	if !k.Due.IsZero() {
		listed, err := w.IsListed(ctx, k.Due, k.Name)
		require.NoError(t, err)
		require.True(t, listed, "the due index does not know key %q", k.Name)
	}
	if k.Policy != "" {
		_, err := w.Policy(ctx, k.Policy)
		require.NoError(t, err, "key %q is bound to a missing policy", k.Name)
		bound, err := w.BoundKeys(ctx, k.Policy)
		require.NoError(t, err)
		require.Contains(t, bound, k.Name)
	}
}

func checkPolicy(t *testing.T, w *world, name string) {
	t.Helper()
	p, err := w.Policy(ctx, name)
	require.NoError(t, err)
	for n := 1; n <= p.Revision; n++ {
		revision, err := w.PolicyRevision(ctx, name, n)
		require.NoError(t, err)
		require.Equal(t, n, revision.Revision)
		if n == p.Revision {
			require.Equal(t, p, revision)
		}
	}
}
