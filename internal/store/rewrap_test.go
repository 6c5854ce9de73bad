// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

var oldKEK, newKEK = [16]byte{1}, [16]byte{2}

func rewrapping(t *testing.T, w *world) lifecycle.Rewrapping {
	t.Helper()
	r, found, err := w.Rewrap(ctx, "use")
	require.NoError(t, err)
	require.True(t, found)
	return r
}

func TestARewrapIsThereFromItsBeginningToItsEnd(t *testing.T) {
	w := newWorld()
	_, found, err := w.Rewrap(ctx, "use")
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, w.BeginRewrap(ctx, "use", newKEK))
	purposes, err := w.PendingRewraps(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"use"}, purposes)
	r := rewrapping(t, w)
	require.Equal(t, lifecycle.BeginRewrap(lifecycle.Rewrapping{}, "use", newKEK, start), r)
	stale, err := w.SaveRewrap(ctx, r.At("k", 2).WithFound(true))
	require.NoError(t, err)
	require.False(t, stale)
	w.restart()
	require.Equal(t, r.At("k", 2).WithFound(true), rewrapping(t, w))
	stale, err = w.FinishRewrap(ctx, r)
	require.NoError(t, err)
	require.False(t, stale)
	purposes, err = w.PendingRewraps(ctx)
	require.NoError(t, err)
	require.Empty(t, purposes)
}

func TestAProgressThatWasBegunAnewIsNeitherStoredNorEnded(t *testing.T) {
	w := newWorld()
	require.NoError(t, w.BeginRewrap(ctx, "use", newKEK))
	r := rewrapping(t, w)
	for _, kek := range [][16]byte{oldKEK, newKEK} {
		require.NoError(t, w.BeginRewrap(ctx, "use", kek))
		begun := rewrapping(t, w)
		stale, err := w.SaveRewrap(ctx, r.At("k", 2))
		require.NoError(t, err)
		require.True(t, stale)
		stale, err = w.FinishRewrap(ctx, r)
		require.NoError(t, err)
		require.True(t, stale)
		require.Equal(t, begun, rewrapping(t, w))
	}
}

func TestADamagedProgressBeginsAnew(t *testing.T) {
	for _, damaged := range []string{"{broken", `{"schema":1,"kek":"AQI="}`, `{"schema":1,"kek":7}`} {
		w := newWorld()
		w.plant(t, "intents/rewrap/use", damaged)
		require.Equal(t, lifecycle.Rewrapping{Purpose: "use"}, rewrapping(t, w))
		require.NoError(t, w.BeginRewrap(ctx, "use", newKEK))
		require.Equal(t, newKEK, rewrapping(t, w).KEK)
	}
}

func TestWhatALaterReleaseKeepsOfARewrapSurvives(t *testing.T) {
	w := load(t, map[string]string{"intents/rewrap/use": strings.Replace(golden(t, "rewrap"), `"run"`, `"later": 7, "run"`, 1)})
	stale, err := w.SaveRewrap(ctx, goldenRewrapping().At("orders", 4))
	require.NoError(t, err)
	require.False(t, stale)
	require.Contains(t, w.entries(t)["intents/rewrap/use"], `"later":7`)
}

func TestEachWriteOfARewrapMayFail(t *testing.T) {
	writes := map[string]func(w *world, r lifecycle.Rewrapping) error{
		"begin":  func(w *world, _ lifecycle.Rewrapping) error { return w.BeginRewrap(ctx, "use", newKEK) },
		"save":   func(w *world, r lifecycle.Rewrapping) error { _, err := w.SaveRewrap(ctx, r.At("k", 1)); return err },
		"finish": func(w *world, r lifecycle.Rewrapping) error { _, err := w.FinishRewrap(ctx, r); return err },
	}
	for name, write := range writes {
		for _, fate := range storagetest.Fates() {
			w := newWorld()
			require.NoError(t, w.BeginRewrap(ctx, "use", oldKEK))
			r := rewrapping(t, w)
			w.disk.FailWriteAs(1, fate)
			require.ErrorIs(t, write(w, r), storagetest.ErrInjected, "%s %s", name, fate)
			w.disk.Heal()
			w.restart()
			require.NoError(t, w.BeginRewrap(ctx, "use", newKEK), "%s %s", name, fate)
			require.NoError(t, w.disk.Land())
			require.Equal(t, newKEK, rewrapping(t, w).KEK, "%s %s: what was begun last is there", name, fate)
		}
	}
}

func TestSealedMaterialIsWalkedInOrder(t *testing.T) {
	w := newWorld()
	for _, name := range []string{"b", "a-b", "a", "a.b"} {
		w.create(t, name, "")
	}
	w.grow(t, "b", 11)
	names, err := w.SealedKeys(ctx, lifecycle.InUse)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "a-b", "a.b", "b"}, names)
	numbers, err := w.SealedVersions(ctx, lifecycle.InUse, "b")
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, numbers)
	names, err = w.SealedKeys(ctx, lifecycle.InArchive)
	require.NoError(t, err)
	require.Empty(t, names)
	_, err = w.SealedVersion(ctx, lifecycle.InUse, "b", 12)
	require.ErrorIs(t, err, refusal.ErrNotFound)
}

func TestSealedMaterialIsReplacedOnlyIfItIsWhatWasRead(t *testing.T) {
	for _, at := range []lifecycle.MaterialLocation{lifecycle.InUse, lifecycle.InArchive} {
		w := newWorld()
		k := w.create(t, "k", "")
		require.NoError(t, w.PutArchived(ctx, "k", version(k, "archived")))
		v, err := w.SealedVersion(ctx, at, "k", 1)
		require.NoError(t, err)
		for name, change := range map[string]func(*lifecycle.Version){
			"other material": func(v *lifecycle.Version) { v.Sealed = []byte("other") },
			"another key":    func(v *lifecycle.Version) { v.KeyID = "other" },
			"it is gone":     func(v *lifecycle.Version) { v.Number = 2 },
		} {
			was := v
			change(&was)
			before := w.entries(t)
			replaced, err := w.ReplaceSealed(ctx, at, "k", was, []byte("anew"))
			require.NoError(t, err, name)
			require.False(t, replaced, name)
			require.Equal(t, before, w.entries(t), name)
		}
		replaced, err := w.ReplaceSealed(ctx, at, "k", v, []byte("anew"))
		require.NoError(t, err)
		require.True(t, replaced)
		v.Sealed = []byte("anew")
		now, err := w.SealedVersion(ctx, at, "k", 1)
		require.NoError(t, err)
		require.Equal(t, v, now, "and nothing else of it")
	}
}

func TestWhatALaterReleaseKeepsOfAVersionSurvivesItsReplacement(t *testing.T) {
	w := newWorld()
	w.create(t, "k", "")
	stored := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(w.entries(t)["versions/k/1"]), &stored))
	stored["later"] = "kept"
	data, err := json.Marshal(stored)
	require.NoError(t, err)
	w.plant(t, "versions/k/1", string(data))
	v, err := w.SealedVersion(ctx, lifecycle.InUse, "k", 1)
	require.NoError(t, err)
	replaced, err := w.ReplaceSealed(ctx, lifecycle.InUse, "k", v, []byte("anew"))
	require.NoError(t, err)
	require.True(t, replaced)
	require.Contains(t, w.entries(t)["versions/k/1"], `"later":"kept"`)
}

func TestAReplacementThatFailsLeavesOneOfTheTwo(t *testing.T) {
	for _, fate := range storagetest.Fates() {
		w := newWorld()
		w.create(t, "k", "")
		v, err := w.SealedVersion(ctx, lifecycle.InUse, "k", 1)
		require.NoError(t, err)
		w.disk.FailWriteAs(1, fate)
		replaced, err := w.ReplaceSealed(ctx, lifecycle.InUse, "k", v, []byte("anew"))
		require.ErrorIs(t, err, storagetest.ErrInjected)
		require.False(t, replaced)
		w.disk.Heal()
		_, err = w.ReplaceSealed(ctx, lifecycle.InUse, "k", v, []byte("again"))
		require.NoError(t, err)
		require.NoError(t, w.disk.Land())
		now, err := w.SealedVersion(ctx, lifecycle.InUse, "k", 1)
		require.NoError(t, err)
		want := "again"
		if fate == storagetest.Applied || fate == storagetest.Late {
			want = "anew" // it was there before the second looked
		}
		require.Equal(t, want, string(now.Sealed), fate)
	}
}
