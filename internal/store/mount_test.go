// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/stretchr/testify/require"
)

// signingKeys returns so many generations.
func signingKeys(t testing.TB, n int) []custody.SigningKey {
	t.Helper()
	var keys []custody.SigningKey
	var previous *custody.SigningKey
	for i := range n {
		key, err := custody.NewSigningKey(bytes.NewReader(bytes.Repeat([]byte{byte(i + 1)}, 32)), start.AddDate(i, 0, 0), i+1, previous)
		require.NoError(t, err)
		keys, previous = append(keys, key), &key
	}
	return keys
}

func requireSameKeys(t *testing.T, want, got []custody.SigningKey) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i].Public(), got[i].Public())
		require.True(t, bytes.Equal(want[i].Seed(), got[i].Seed()))
	}
}

// nextSigningKey makes the next generation.
func nextSigningKey(keys []custody.SigningKey) (*custody.SigningKey, error) {
	var previous *custody.SigningKey
	if len(keys) > 0 {
		previous = &keys[len(keys)-1]
	}
	key, err := custody.NewSigningKey(bytes.NewReader(bytes.Repeat([]byte{byte(len(keys) + 1)}, 32)), start.AddDate(len(keys), 0, 0), len(keys)+1, previous)
	return &key, err
}

func TestSigningKeysGrowByGenerations(t *testing.T) {
	w := newWorld()
	keys, err := w.SigningKeys(ctx)
	require.NoError(t, err)
	require.Empty(t, keys)
	for n := 1; n <= 3; n++ {
		got, err := w.AddSigningKey(ctx, nextSigningKey)
		require.NoError(t, err)
		requireSameKeys(t, signingKeys(t, n), got)
		stored, err := w.SigningKeys(ctx)
		require.NoError(t, err)
		requireSameKeys(t, got, stored)
	}
	before := w.entries(t)
	refusal := errors.New("not now")
	for _, want := range []error{nil, refusal} {
		got, err := w.AddSigningKey(ctx, func([]custody.SigningKey) (*custody.SigningKey, error) { return nil, want })
		require.ErrorIs(t, err, want)
		require.Len(t, got, 3)
		require.Equal(t, before, w.entries(t))
	}
}

func TestSigningKeysThatDoNotBelongTogetherAreRefused(t *testing.T) {
	record := golden(t, "custody")
	w := load(t, map[string]string{"config/custody": strings.Replace(record, `"seed": "A`, `"seed": "B`, 1)})
	_, err := w.SigningKeys(ctx)
	require.ErrorIs(t, err, custody.ErrInvalid)
	require.ErrorContains(t, err, "config/custody")
	require.NotContains(t, err.Error(), "BAEBAQ", "the seed")
}

func TestClockIsRemembered(t *testing.T) {
	w := newWorld()
	got, err := w.Clock(ctx)
	require.NoError(t, err)
	require.Zero(t, got)
	for _, want := range []lifecycle.Clock{goldenClock(), {High: start}} {
		require.NoError(t, w.SetClock(ctx, want))
		got, err := w.Clock(ctx)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestUnknownFieldsOfMountRecordsSurviveAChange(t *testing.T) {
	w := load(t, map[string]string{
		"config/kek": golden(t, "kek"), "keys/orders": golden(t, "key"),
		"config/clock": later(golden(t, "clock-first")), "denied/orders/0": later(golden(t, "denied")), "config/custody": later(golden(t, "custody-first")),
	})
	require.NoError(t, w.SetClock(ctx, lifecycle.Clock{High: start}))
	require.NoError(t, addDenied(w))
	_, err := w.AddSigningKey(ctx, nextSigningKey)
	require.NoError(t, err)
	for _, path := range []string{"config/clock", "denied/orders/0", "config/custody"} {
		requireLater(t, w.entries(t)[path])
	}
}

func TestMountWithoutAKeySaysSoWhereAnIdentityIsNeeded(t *testing.T) {
	w := emptyWorld()
	_, err := w.Instance(ctx)
	require.EqualError(t, err, "the mount has no keys yet")
	_, err = w.CreateKeyring(ctx, goldenKeyring())
	require.NoError(t, err)
	instance, err := w.Instance(ctx)
	require.NoError(t, err)
	require.Equal(t, "8f14", instance)
}

func TestMissingArchiveKeyLeavesWhatIsInUseWorking(t *testing.T) {
	w := newWorld()
	require.NoError(t, w.disk.Delete(ctx, "config/archive-kek"))
	w.restart()
	ring, found, err := w.Keyring(ctx)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, goldenKeyring().Use, ring.Use)
	require.Zero(t, ring.Archive)
}

func TestSigningKeysAreSealedAnewWhereTheyAreStillWhatWasRead(t *testing.T) {
	w := newWorld()
	for range 2 {
		_, err := w.AddSigningKey(ctx, nextSigningKey)
		require.NoError(t, err)
	}
	was, err := w.Signing.SigningKeys(ctx)
	require.NoError(t, err)
	story := w.story(t, custody.MountChain)
	next := []custody.StoredKey{{Public: was[0].Public, Sealed: []byte("one")}, {Public: was[1].Public, Sealed: []byte("two")}}
	for _, other := range [][]custody.StoredKey{was[:1], next} {
		replaced, err := w.ReplaceSigningKeys(ctx, other, next)
		require.NoError(t, err)
		require.False(t, replaced)
	}
	replaced, err := w.ReplaceSigningKeys(ctx, was, next)
	require.NoError(t, err)
	require.True(t, replaced)
	got, err := w.Signing.SigningKeys(ctx)
	require.NoError(t, err)
	require.Equal(t, next, got)
	require.Equal(t, story, w.story(t, custody.MountChain), "it is no act")
	checkCustody(t, w)
	require.NotContains(t, w.entries(t)["config/custody"], base64.StdEncoding.EncodeToString(signingKeys(t, 1)[0].Seed()))
}

func TestGoldenSigningKeysThatAreNotSealedDecode(t *testing.T) {
	got, err := load(t, map[string]string{"config/custody": golden(t, "custody-plain")}).SigningKeys(ctx)
	require.NoError(t, err)
	requireSameKeys(t, signingKeys(t, 2), got)
}
