// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// retyped returns the key with a next version of the type.
func retyped(t *testing.T, k lifecycle.Key, to keytype.Type) lifecycle.Key {
	t.Helper()
	next, err := lifecycle.WithNext(k, lifecycle.NextType{Type: to}, nil)
	require.NoError(t, err)
	return rotated(t, next, lifecycle.ByOperator, "", 0, start.Add(time.Duration(next.Latest)*day))
}

func TestAVersionKeepsItsType(t *testing.T) {
	k := newKey(t, 1)
	want := []keytype.Type{"", keytype.Default}
	for _, to := range []keytype.Type{keytype.Default, keytype.AES128GCM96, keytype.AES128GCM96, keytype.RSA2048, keytype.Default} {
		k, want = retyped(t, k, to), append(want, to)
		for n := 1; n <= k.Latest; n++ {
			require.Equal(t, want[n], lifecycle.TypesOf(&k).Of(n), "version %d of %d", n, k.Latest)
		}
	}
	require.Equal(t, []lifecycle.TypeUntil{
		{Until: 2, Type: keytype.Default}, {Until: 4, Type: keytype.AES128GCM96}, {Until: 5, Type: keytype.RSA2048},
	}, k.EarlierTypes)
	require.True(t, lifecycle.TypesOf(&k).Differ())
	k.MinAvailable = 6
	require.False(t, lifecycle.TypesOf(&k).Differ(), "the others are trimmed")
}

func TestTheTypeOfAKeyChangesSoOften(t *testing.T) {
	k := newKey(t, 1)
	for n := range 64 {
		k = retyped(t, k, []keytype.Type{keytype.AES128GCM96, keytype.Default}[n%2])
	}
	_, err := lifecycle.WithNext(k, lifecycle.NextType{Type: keytype.AES128GCM96}, nil)
	require.ErrorIs(t, err, refusal.ErrRefused)
	k.MinAvailable = 3
	k = retyped(t, k, keytype.AES128GCM96)
	require.Equal(t, 3, k.EarlierTypes[0].Until, "what was trimmed is forgotten")
}

func TestAKeyOnTheTokenKeepsItsType(t *testing.T) {
	of := spec()
	of.Protection = lifecycle.Resident
	k, err := lifecycle.New(of, start)
	require.NoError(t, err)
	_, err = lifecycle.WithNext(k, lifecycle.NextType{Type: keytype.AES128GCM96}, nil)
	require.ErrorContains(t, err, `type: "aes128-gcm96": no token holds keys of this type`)
}

func TestARestoredKeyHasTypesThatItCouldHaveGot(t *testing.T) {
	for _, types := range [][]lifecycle.TypeUntil{
		{{Until: 0, Type: keytype.AES128GCM96}},
		{{Until: 3, Type: keytype.AES128GCM96}},
		{{Until: 2, Type: keytype.AES128GCM96}, {Until: 1, Type: keytype.RSA2048}},
		{{Until: 1, Type: keytype.Ed25519}},
		{{Until: 1, Type: keytype.HMAC}},
	} {
		of := spec()
		of.Latest, of.Primary, of.MinDecryption, of.EarlierTypes = 3, 3, 1, types
		_, err := lifecycle.Restored(of, []time.Time{start, start, start}, start)
		require.ErrorIs(t, err, refusal.ErrInvalid, fmt.Sprint(types))
		of.EarlierTypes = []lifecycle.TypeUntil{{Until: 1, Type: keytype.AES128GCM96}}
		k, err := lifecycle.Restored(of, []time.Time{start, start, start}, start)
		require.NoError(t, err)
		require.Equal(t, of.EarlierTypes, k.EarlierTypes)
	}
}
