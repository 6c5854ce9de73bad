// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

func uses(t *testing.T, names ...string) *[]lifecycle.AllowedUse {
	t.Helper()
	parsed, err := lifecycle.ParseUses(names)
	require.NoError(t, err)
	return &parsed
}

func TestUsesAreKeptOnceAndInOrder(t *testing.T) {
	require.Equal(t, []lifecycle.AllowedUse{"decrypt", "rewrap"}, *uses(t, "rewrap", "decrypt", "rewrap"))
	require.Nil(t, *uses(t))
	_, err := lifecycle.ParseUses([]string{"decrypt", "Encrypt"})
	require.ErrorIs(t, err, refusal.ErrInvalid)
	require.EqualError(t, err, `allowed_uses: "Encrypt": unknown use; known are encrypt, decrypt, rewrap, datakey, sign, verify, hmac, export`)
}

func TestAKeyIsForItsAllowedUsesAlone(t *testing.T) {
	k := newKey(t, 1)
	for _, name := range lifecycle.AllowedUses() {
		require.NoError(t, lifecycle.CheckUse(&k, lifecycle.AllowedUse(name)), "a key without a restriction")
	}
	k.Uses = *uses(t, "decrypt", "rewrap")
	for _, name := range lifecycle.AllowedUses() {
		err := lifecycle.CheckUse(&k, lifecycle.AllowedUse(name))
		if name == "decrypt" || name == "rewrap" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, refusal.ErrRefused, name)
		require.NotErrorIs(t, err, refusal.ErrDenied, "it would hold back a retirement")
	}
	require.EqualError(t, lifecycle.CheckUse(&k, "sign"), `key "orders" is not for sign: its allowed_uses are decrypt, rewrap [use_not_allowed]`)
}

func TestAllowedUsesAreNarrowedOnly(t *testing.T) {
	k := newKey(t, 1)
	for _, step := range []struct {
		asked []string
		err   string
	}{
		{nil, ""},
		{[]string{"sign"}, `allowed_uses: "sign": not a use of keys of type aes256-gcm96`},
		{[]string{"encrypt", "decrypt", "rewrap"}, ""},
		{[]string{"encrypt", "decrypt", "rewrap"}, ""},
		{[]string{"decrypt", "datakey"}, `allowed_uses: "datakey": can only be narrowed; the key has encrypt, decrypt, rewrap`},
		{[]string{"decrypt"}, ""},
		{[]string{"decrypt", "encrypt"}, `allowed_uses: "encrypt": can only be narrowed; the key has decrypt`},
		{nil, `allowed_uses: "": a restriction cannot be lifted; it is decrypt`},
	} {
		next, _, err := k.Configure(lifecycle.ConfigChange{Uses: uses(t, step.asked...)})
		if step.err != "" {
			require.ErrorIs(t, err, refusal.ErrInvalid)
			require.EqualError(t, err, step.err)
			require.Equal(t, k, next)
			continue
		}
		require.NoError(t, err)
		k = next
	}
	require.Equal(t, 3, k.Revision, "only what changed them counts")

	asked := spec()
	asked.Uses = *uses(t, "verify", "sign")
	_, err := lifecycle.New(asked, start)
	require.ErrorContains(t, err, `allowed_uses: "sign": not a use of keys of type aes256-gcm96`)
}
