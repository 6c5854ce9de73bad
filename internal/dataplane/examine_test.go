// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

func TestMaterialThatWasErasedWhileItIsExaminedIsNotDamaged(t *testing.T) {
	for name, meanwhile := range map[string]func(k *lifecycle.Key){
		"trimmed":                        func(k *lifecycle.Key) { k.MinAvailable, k.MinDecryption = 2, 2 },
		"the key is another of its name": func(k *lifecycle.Key) { k.ID = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			w := enginetest.New(t)
			w.Create("k", "")
			w.Rotate("k")
			k := w.Stored("k")
			w.Damage("k", 1, nil)
			s := w.Data()
			examine := func() dataplane.Condition {
				return s.Materials().Examine(t.Context(), s.Keys, &k, 1, dataplane.Use).Condition
			}
			require.Equal(t, dataplane.Missing, examine())
			w.Alter("k", meanwhile)
			require.Equal(t, dataplane.Gone, examine())
			require.False(t, dataplane.Gone.Failed())
		})
	}
}
