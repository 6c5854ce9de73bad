// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// TestOnlyKeysThatSignAreRestoredWithoutPrivateHalves: what encrypts, or derives, never loses them.
func TestOnlyKeysThatSignAreRestoredWithoutPrivateHalves(t *testing.T) {
	for of, may := range map[keytype.Type]bool{keytype.ECDSAP256: true, keytype.MLDSA44: true, keytype.RSA2048: false, keytype.AES256GCM96: false} {
		k := lifecycle.Key{ID: "6f", Name: "k", Type: of, Latest: 2, Primary: 2, MinDecryption: 1, PrivateFrom: 2}
		_, err := lifecycle.Restored(k, []time.Time{start, start}, start)
		if may {
			require.NoError(t, err, of)
			continue
		}
		require.ErrorIs(t, err, refusal.ErrInvalid, of)
		require.ErrorContains(t, err, "private_from: 2")
	}
}
