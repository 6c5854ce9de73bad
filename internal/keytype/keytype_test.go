// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keytype_test

import (
	"testing"

	"github.com/hashicorp/vault/sdk/helper/keysutil"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

func TestTypesAreTheOnesOfTransitWithTheirStrength(t *testing.T) {
	want := map[keytype.Type]int{
		"aes128-gcm96": 128, "aes256-gcm96": 256, "chacha20-poly1305": 256, "ed25519": 128, "ecdsa-p256": 128, "ecdsa-p384": 192,
		"ecdsa-p521": 256, "rsa-2048": 112, "rsa-3072": 128, "rsa-4096": 152, "hmac": 256, "aes128-cmac": 128, "aes192-cmac": 192, "aes256-cmac": 256,
		"xchacha20-poly1305": 256, "mldsa-44": 128, "mldsa-65": 192, "mldsa-87": 256,
	}
	require.Len(t, keytype.Names(), len(want))
	for name, bits := range want {
		got, err := keytype.Parse(string(name))
		require.NoError(t, err)
		require.Equal(t, name, got)
		require.Equal(t, bits, got.StrengthBits())
	}
	require.Equal(t, keytype.AES256GCM96, keytype.Default)
}

// TestTypesDoWhatTransitsDo holds the traits against what keysutil says of its types.
func TestTypesDoWhatTransitsDo(t *testing.T) {
	known := map[string]keysutil.KeyType{}
	for kt := keysutil.KeyType(0); kt.String() != "[unknown]"; kt++ {
		known[kt.String()] = kt
	}
	for _, name := range keytype.Names() {
		kt, ours := known[name], keytype.Type(name)
		if _, set := ours.Shown(); set != "" {
			kt = known["ml-dsa"]
			require.True(t, ours.SupportsSigning() && ours.IsAsymmetric())
			require.False(t, kt.EncryptionSupported() || ours.SupportsEncryption() || ours.SupportsDerivation() || ours.IsRSA())
			continue
		}
		if name == "xchacha20-poly1305" { // OpenBao's
			kt = known["chacha20-poly1305"]
		} else {
			require.Equal(t, name, kt.String())
		}
		require.Equal(t, kt.EncryptionSupported(), ours.SupportsEncryption(), name)
		require.Equal(t, kt.DerivationSupported(), ours.SupportsDerivation(), name)
		require.Equal(t, kt.SigningSupported(), ours.SupportsSigning(), name)
		require.Equal(t, kt.ImportPublicKeySupported(), ours.IsAsymmetric(), name)
		require.Equal(t, kt.PaddingSchemesSupported(), ours.IsRSA(), name)
		require.Equal(t, kt.CMACSupported(), ours.SupportsCMAC(), name)
	}
}

func TestUnknownTypeIsRefusedWithTheListOfKnownOnes(t *testing.T) {
	for _, name := range []string{"", "aes", "AES256-GCM96", "rsa-1024", "aes256-gcm96 "} {
		got, err := keytype.Parse(name)
		require.ErrorIs(t, err, refusal.ErrInvalid, name)
		require.ErrorContains(t, err, "type: ")
		require.ErrorContains(t, err, "known are aes128-cmac, aes128-gcm96, ")
		require.Empty(t, got)
		require.Zero(t, keytype.Type(name).StrengthBits())
	}
}

func TestTypesThatCanStayOnATokenAreListed(t *testing.T) {
	require.Equal(t, []string{
		"aes256-gcm96", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "hmac", "rsa-2048", "rsa-3072", "rsa-4096",
	}, keytype.TokenNames())
}
