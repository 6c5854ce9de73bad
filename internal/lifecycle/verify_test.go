// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// destroyed returns a key of the type whose version 3 is destroyed by itself.
func destroyed(t *testing.T, of keytype.Type) lifecycle.Key {
	t.Helper()
	k := steps(t, newKey(t, 5), 3, lifecycle.Archive, lifecycle.Retire, lifecycle.Destroy)
	k.Type = of
	return k
}

func TestADestroyedVersionVerifiesByItsPublicHalf(t *testing.T) {
	for _, name := range keytype.Names() {
		of := keytype.Type(name)
		may := may(destroyed(t, of), governed)
		require.ErrorIs(t, may.ToProcess(3), refusal.ErrRefused, name)
		if of.SupportsSigning() {
			require.NoError(t, may.ToVerify(3), name)
			continue
		}
		require.EqualError(t, may.ToVerify(3), "ciphertext or signature version is disallowed by policy (too old): version 3 is destroyed [version_destroyed]", name)
	}
}

func TestADestroyedVersionDoesNotVerifyWhere(t *testing.T) {
	all := policy.EffectiveRules{SuspendedProcessing: true, CompromisedProcessing: true, PinnedEncrypt: true}
	for name, k := range map[string]lifecycle.Key{
		"keys are derived": func() lifecycle.Key {
			k := destroyed(t, keytype.Ed25519)
			k.Derived = true
			return k
		}(),
		"it was compromised": signing(steps(t, newKey(t, 5), 3, lifecycle.ReportCompromise, lifecycle.Retire, lifecycle.Destroy)),
		"a floor is above it": func() lifecycle.Key {
			k := destroyed(t, keytype.Ed25519)
			k.MinDecryption = 4
			return k
		}(),
		"its key is destroyed": moved(t, destroyed(t, keytype.Ed25519), lifecycle.KeyDestroyed),
	} {
		err := k.Permissions(all).ToVerify(3)
		require.ErrorIs(t, err, refusal.ErrRefused, name)
		require.NotErrorIs(t, err, refusal.ErrDenied, "%s: nothing is left that a denied use could hold back", name)
	}
}

func TestASignatureOfAVersionThatNeverWasIsToldApart(t *testing.T) {
	require.EqualError(t, may(newKey(t, 2), ungoverned).ToVerify(3), "invalid signature: version is too new: version 3, latest 2")
}

func TestAPublicHalfIsAloneWhereTheMaterialWasDestroyed(t *testing.T) {
	k := destroyed(t, keytype.Ed25519)
	require.True(t, lifecycle.PublicHalfAlone(&k, 3))
	require.False(t, lifecycle.PublicHalfAlone(&k, 2), "its material is there")
	k.Derived = true
	require.False(t, lifecycle.PublicHalfAlone(&k, 3), "a derived key's is of no use")
	k = destroyed(t, keytype.AES256GCM96)
	require.False(t, lifecycle.PublicHalfAlone(&k, 3), "there is none")
	retired := signing(steps(t, newKey(t, 5), 3, lifecycle.Archive, lifecycle.Retire))
	require.False(t, lifecycle.PublicHalfAlone(&retired, 3), "what is retired comes back with its material")
}
