// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package wycheproof_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/wycheproof"
)

func TestEveryFamilyHasWhatItsTestsRead(t *testing.T) {
	for _, family := range []string{"aead", "ecdsa", "ecdsa_p1363", "ed25519", "rsa_signature", "rsa_pss", "rsa_oaep", "rsa_pkcs1", "hmac", "cmac", "kwp"} {
		results := map[string]bool{}
		for _, g := range wycheproof.Groups(t, family) {
			require.NotEmpty(t, g.File)
			require.NotEmpty(t, g.Vectors, g.File)
			if g.Hash != "" || family == "hmac" {
				require.NotEmpty(t, g.TransitHash(), "%s %s", g.File, g.Hash)
			}
			for _, v := range g.Vectors {
				require.Positive(t, v.ID)
				results[v.Result] = true
			}
		}
		delete(results, "acceptable")
		require.Equal(t, map[string]bool{"valid": true, "invalid": true}, results, family)
	}
}
