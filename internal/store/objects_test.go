// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

const object = "00112233445566778899aabbccddeeff"

// goldenResident is a key whose versions are on the token, with its version and its object there.
func goldenResident() (lifecycle.Key, lifecycle.Version, lifecycle.Object) {
	k := lifecycle.Key{
		ID: "7265736964656e74", Name: "resident", Type: "aes256-gcm96", Protection: lifecycle.Resident, Latest: 1, Primary: 1,
		MinDecryption: 1, Created: start, Recent: []time.Time{start}, Revision: 1,
		Rotation: lifecycle.Rotation{Base: start, Last: start, Promoted: start, Trigger: lifecycle.ByCreation},
	}
	v := lifecycle.Version{KeyID: k.ID, Number: 1, Created: start, Fingerprint: "a1b2", Sealed: []byte("sealed"), Object: object}
	return k, v, lifecycle.Object{ID: object, Key: k.Name, KeyID: k.ID, Version: 1, Created: start}
}

func TestGoldenRecordsOfAKeyOnTheTokenDecode(t *testing.T) {
	want, version, noted := goldenResident()
	w := load(t, map[string]string{
		"keys/resident": golden(t, "key-resident"), "versions/resident/1": golden(t, "version-resident"),
	})
	k, err := w.Key(ctx, "resident")
	require.NoError(t, err)
	want.LastActs = lifecycle.LastActs{Since: 1, Versions: []lifecycle.VersionAct{{Version: 1, Act: 1}}}
	require.Equal(t, want, k)
	v, err := w.Version(ctx, "resident", 1)
	require.NoError(t, err)
	require.Equal(t, version, v)

	w = load(t, map[string]string{"intents/objects/" + object: golden(t, "object")})
	o, destroy, err := w.GiveUpObject(ctx, object, start)
	require.NoError(t, err)
	require.True(t, destroy)
	noted.GivenUp = true
	require.Equal(t, noted, o)
}

// TestRecordsBeforeThereWereKeysOnTokensDecode holds that what was added since is left empty.
func TestRecordsBeforeThereWereKeysOnTokensDecode(t *testing.T) {
	w := load(t, map[string]string{
		"keys/orders": golden(t, "key-before-protection"), "versions/orders/2": golden(t, "version-before-protection"),
		"intents/erase/last": golden(t, "erase-before-protection"),
	})
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	want := goldenKey()
	want.Origin, want.Certificates, want.Uses = lifecycle.Origin{}, nil, nil
	require.Equal(t, want, k)
	v, err := w.Version(ctx, "orders", 2)
	require.NoError(t, err)
	require.Equal(t, goldenVersion(), v)
	require.NoError(t, w.FinishErasure(ctx, "last"))
	require.NotContains(t, w.entries(t), "intents/erase/last")
}

// withObject is a world in which a key on the token is noted, and not committed.
func withObject(t *testing.T) (*world, lifecycle.Commit) {
	t.Helper()
	w := newWorld()
	k, v, o := goldenResident()
	require.NoError(t, w.PutObject(ctx, o))
	return w, creation(k, v)
}

func TestAKeyOnTheTokenThatAVersionHasIsDropped(t *testing.T) {
	w, c := withObject(t)
	require.NoError(t, w.CreateKey(ctx, c))
	pending, err := w.PendingObjects(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{object}, pending, "it is the caller who drops it")
	for range 2 {
		_, destroy, err := w.GiveUpObject(ctx, object, start.Add(time.Hour))
		require.NoError(t, err)
		require.False(t, destroy)
	}
	require.NotContains(t, w.entries(t), "intents/objects/"+object)
}

func TestAKeyOnTheTokenOfAnActUnderWayIsLeftAlone(t *testing.T) {
	w, c := withObject(t)
	_, destroy, err := w.GiveUpObject(ctx, object, start.Add(-time.Second))
	require.NoError(t, err)
	require.False(t, destroy)
	require.NoError(t, w.CreateKey(ctx, c))
}

func TestAKeyOnTheTokenThatWasGivenUpIsCommittedByNoAct(t *testing.T) {
	for name, after := range map[string]func(w *world){
		"given up": func(*world) {},
		"gone":     func(w *world) { require.NoError(t, w.DropObject(ctx, object)) },
	} {
		t.Run(name, func(t *testing.T) {
			w, c := withObject(t)
			_, destroy, err := w.GiveUpObject(ctx, object, start)
			require.NoError(t, err)
			require.True(t, destroy)
			after(w)
			before := w.entries(t)
			require.ErrorIs(t, w.CreateKey(ctx, c), refusal.ErrRefused)
			require.Equal(t, before, w.entries(t))
		})
	}
}

// TestAKeyOnTheTokenIsGivenUpOrCommitted loses each write, in both ways.
func TestAKeyOnTheTokenIsGivenUpOrCommitted(t *testing.T) {
	for _, fate := range storagetest.Fates() {
		for at := 1; at <= 6; at++ {
			w, c := withObject(t)
			w.disk.FailWriteAs(at, fate)
			_ = w.CreateKey(ctx, c)
			w.disk.Heal()
			w.restart()
			_, destroy, err := w.GiveUpObject(ctx, object, start)
			require.NoError(t, err)
			_, keyErr := w.Key(ctx, "resident")
			require.Equal(t, keyErr != nil, destroy, "%v %d", fate, at)
		}
	}
}

func TestTheKeysOnTheTokenOfADeletedKeyAreGivenUpBeforeTheirVersionsGo(t *testing.T) {
	deleted := func(t *testing.T) *world {
		w, c := withObject(t)
		require.NoError(t, w.CreateKey(ctx, c))
		require.NoError(t, w.DropObject(ctx, object))
		_, err := w.Keys.DeleteKey(ctx, "resident", anyKey, "")
		require.NoError(t, err)
		w.disk.Reset()
		return w
	}
	w := deleted(t)
	require.NoError(t, w.FinishErasure(ctx, "resident"))
	writes := w.disk.Reset().Writes()
	for _, fate := range storagetest.Fates() {
		for at := 1; at <= writes; at++ {
			w := deleted(t)
			w.disk.FailWriteAs(at, fate)
			_ = w.FinishErasure(ctx, "resident")
			w.disk.Heal()
			w.restart()
			require.NoError(t, w.FinishErasure(ctx, "resident"))
			require.NotContains(t, w.entries(t), "versions/resident/1")
			o, destroy, err := w.GiveUpObject(ctx, object, start.Add(-time.Hour))
			require.NoError(t, err)
			require.True(t, destroy, "%v %d", fate, at)
			require.Equal(t, object, o.ID)
			require.Equal(t, 1, o.Version)
		}
	}
}
