// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keytype_test

import (
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

func TestTypesAreTheOnesOfTransitWithTheirStrength(t *testing.T) {
	want := map[string]int{"aes128-gcm96": 128, "aes256-gcm96": 256, "chacha20-poly1305": 256}
	require.Equal(t, []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305"}, keytype.Names())
	for name, bits := range want {
		got, err := keytype.Parse(name)
		require.NoError(t, err)
		require.Equal(t, name, string(got))
		require.Equal(t, bits, got.StrengthBits())
		require.True(t, got.SupportsEncryption())
		require.True(t, got.SupportsDerivation())
		require.False(t, got.SupportsSigning())
	}
	require.Equal(t, keytype.AES256GCM96, keytype.Default)
}

func TestUnknownTypeIsRefusedWithTheListOfKnownOnes(t *testing.T) {
	for _, name := range []string{"", "aes", "AES256-GCM96", "rsa-2048", "aes256-gcm96 "} {
		got, err := keytype.Parse(name)
		require.ErrorIs(t, err, refusal.ErrInvalid, name)
		require.ErrorContains(t, err, "type: ")
		require.ErrorContains(t, err, "known are aes128-gcm96, aes256-gcm96, chacha20-poly1305")
		require.Empty(t, got)
		require.Zero(t, keytype.Type(name).StrengthBits())
	}
}
