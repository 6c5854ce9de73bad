// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// TestACheckLeavesOutWhatIsErasedMeanwhile has the material of versions go between the reading of the key and that of the version.
func TestACheckLeavesOutWhatIsErasedMeanwhile(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	w.Rotate("k")
	w.Rotate("k")
	check := func() (versions []int, page reached) {
		t.Helper()
		found, err := w.Session().Versions().Check(t.Context(), "k", 0, 2)
		require.NoError(t, err)
		for _, v := range found.Versions {
			require.Equal(t, dataplane.Well, v.Condition, v.Version)
			versions = append(versions, v.Version)
		}
		return versions, reached{found.Last, found.More}
	}
	versions, page := check()
	require.Equal(t, []int{1, 2}, versions)
	require.Equal(t, reached{2, true}, page)

	w.Before("Version", func() {
		w.Before("Version", nil)
		w.Damage("k", 1, nil)
		w.Alter("k", func(k *lifecycle.Key) { k.MinAvailable, k.MinDecryption = 2, 2 })
	})
	versions, page = check()
	require.Equal(t, []int{2}, versions, "version 1 is no version that is missing")
	require.Equal(t, reached{2, true}, page, "it counts for the page")
	versions, page = check()
	require.Equal(t, []int{2, 3}, versions, "what is erased is not looked for")
	require.Equal(t, reached{3, false}, page)
}

// reached is how far a check has come.
type reached struct {
	last int
	more bool
}
