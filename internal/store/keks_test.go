// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

func TestKeyringIsMadeOnce(t *testing.T) {
	w := emptyWorld()
	first, err := w.CreateKeyring(ctx, goldenKeyring())
	require.NoError(t, err)
	before := w.entries(t)
	other := goldenKeyring()
	other.Instance = "other"
	second, err := w.CreateKeyring(ctx, other)
	require.NoError(t, err)
	require.Equal(t, first, second, "the one in force comes back")
	require.Equal(t, before, w.entries(t))
}

func TestKeyringIsNotMadeAnewWhereKeysExist(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	require.NoError(t, w.disk.Delete(ctx, "config/kek"))
	w.restart()
	before := w.entries(t)
	ring, err := w.CreateKeyring(ctx, goldenKeyring())
	require.ErrorIs(t, err, store.ErrNoKeyring)
	require.Zero(t, ring)
	require.Equal(t, before, w.entries(t))
}

func TestRequestsAtOnceGetTheSameKeyring(t *testing.T) {
	w := emptyWorld()
	rings := make(chan keyring.KEKs)
	for i := range 20 {
		go func() {
			ring := goldenKeyring()
			ring.Instance = fmt.Sprint(i)
			got, err := w.CreateKeyring(ctx, ring)
			if err != nil {
				got.Instance = err.Error()
			}
			rings <- got
		}()
	}
	want := <-rings
	for range 19 {
		require.Equal(t, want, <-rings)
	}
	stored, found, err := w.Keyring(ctx)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, want, stored)
}

func TestKeyringNeverPrintsItsKey(t *testing.T) {
	ring := goldenKeyring()
	ring.Use.Key = []byte("0123456789 s3cr3t 0123456789 abc")
	ring.Archive.Key = ring.Use.Key
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, value := range []any{ring, &ring, ring.Use, &ring.Archive, []keyring.KEK{ring.Use}} {
			text := fmt.Sprintf(verb, value)
			require.NotContains(t, text, "s3cr3t", verb)
			require.NotContains(t, text, "733363723374", verb)
			require.NotContains(t, text, "115 51 99", verb)
			require.Contains(t, text, "redacted", verb)
		}
	}
	data, err := json.Marshal(ring)
	require.NoError(t, err)
	require.NotContains(t, string(data), "czNjcjN0")
	require.NotContains(t, string(data), `"Key":`)
}
