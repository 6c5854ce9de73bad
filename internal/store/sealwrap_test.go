// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// sealWraps is Vault's rule for logical.Paths.SealWrapStorage: exact, or a prefix where it ends in a slash.
func sealWraps(paths []string, path string) bool {
	for _, p := range paths {
		if p == path || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

// everything is a world in which every kind of entry stands.
func everything(t *testing.T) *world {
	w := newWorld()
	_, err := w.AddSigningKey(ctx, nextSigningKey)
	require.NoError(t, err)
	require.NoError(t, w.SetClock(ctx, goldenClock()))
	require.NoError(t, w.SetDisableUpsert(ctx, true))
	require.NoError(t, w.SetCacheSize(ctx, 10))
	require.NoError(t, w.SaveCensus(ctx, goldenCensus()))
	tokenSet(t, w)
	enrolled(t, w)
	w.putPolicy(t, "pci", "")
	w.putPolicy(t, "pci", "second")
	require.NoError(t, w.SaveReindexCursor(ctx, "pci", 2, "orders", false))
	require.NoError(t, w.BeginRewrap(ctx, "use", goldenRewrapping().KEK))
	w.create(t, "orders", "pci")
	w.grow(t, "orders", store.PageSize+1)
	_, err = w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		return lifecycle.Commit{Key: k.Failed("token removed", nil, start)}, nil
	})
	require.NoError(t, err)
	w.settle(t, 1, 2)
	require.ErrorIs(t, w.RelocateAsATick(ctx, "orders", func(k lifecycle.Key, n int) error {
		if n == 2 {
			return errRead // leaves the intent
		}
		v, err := w.Version(ctx, k.Name, n)
		require.NoError(t, err)
		return w.PutArchived(ctx, k.Name, v)
	}), errRead)
	require.NoError(t, addDenied(w))
	require.NoError(t, w.PostponeDue(ctx, start, start.Add(time.Hour), "broken"))
	w.create(t, "dying", "")
	w.disk.FailWrite(5, false) // custody, intent, record, outcome, first version
	_, err = w.DeleteKey(ctx, "dying", anyKey, "")
	require.ErrorContains(t, err, "versions/dying/1")
	w.disk.Heal()
	return w
}

func TestScenarioWritesEveryKindOfEntry(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	kinds := map[string]bool{}
	for path := range everything(t).entries(t) {
		kind := strings.Split(path, "/")[0]
		if kind == "intents" || kind == "config" {
			kind += "/" + strings.Split(path, "/")[1]
		}
		kinds[kind] = true
	}
	require.Equal(t, map[string]bool{ // as in the layout of the package's comment
		"keys": true, "versions": true, "dates": true, "policies": true, "revisions": true, "bound": true,
		"schedule": true, "intents/erase": true, "intents/reschedule": true, "config/keys": true, "config/cache": true, "config/kek": true,
		"archive": true, "journal": true, "denied": true, "intents/settle": true, "config/archive-kek": true, "config/custody": true,
		"config/clock": true, "config/hsm": true, "config/keks": true, "intents/rewrap": true,
		"config/approvals": true, "config/approvers": true, "config/census": true,
	}, kinds)
}

func TestKeyMaterialIsSealWrappedAndNothingElseHoldsAny(t *testing.T) {
	for path, value := range everything(t).entries(t) {
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(value), &fields), path)
		_, sealed := fields["sealed"]
		_, key := fields["key"] // in a journal, the name of one
		key = key && !strings.HasPrefix(path, "journal/")
		require.Equal(t, sealed || key || strings.Contains(value, `"seed"`) || strings.Contains(value, `"pin"`), sealWraps(store.SealWrapped(), path), path)
	}
}

func TestSecretsAreNowhereButInSealWrappedEntries(t *testing.T) {
	w := everything(t)
	keys, err := w.SigningKeys(ctx)
	require.NoError(t, err)
	secrets := [][]byte{goldenKeyring().Use.Key, goldenKeyring().Archive.Key, keys[0].Seed(), []byte("first 1"), []byte("first 200")}
	for path, value := range w.entries(t) {
		require.False(t, strings.Contains(value, string(goldenHSM().PIN)) && !sealWraps(store.SealWrapped(), path), path)
		for _, secret := range secrets {
			if strings.Contains(value, base64.StdEncoding.EncodeToString(secret)) {
				require.True(t, sealWraps(store.SealWrapped(), path), path)
			}
		}
	}
}

func TestSealWrappedPathsAreInTheFormVaultUnderstands(t *testing.T) {
	paths := logical.Paths{SealWrapStorage: store.SealWrapped()}
	require.NotEmpty(t, paths.SealWrapStorage)
	for _, path := range paths.SealWrapStorage {
		require.False(t, strings.HasPrefix(path, "/"), path)
		require.NotContains(t, path, "*")
	}
}
