// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package states_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func pending(m *mounttest.Mount, version int) bool {
	m.T.Helper()
	return m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d", version))).Data["material_pending"].(bool)
}

func TestDestroyedMaterialThatIsStillThereIsSaidToBe(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.UnderPolicy(t)
	m.Advance(time.Minute)
	m.K.Ops("versions/1/compromise", "versions/1/retire")
	m.Leap(23 * time.Hour)
	stuck := m.Storage.DeafTo("versions/")
	for range 3 {
		m.Clock.Add(time.Hour)
		_ = m.TickOn(stuck)
	}
	require.Equal(t, "destroyed", m.K.State(1))
	require.NotNil(t, m.Storage.Sealed("versions/k/1"))
	require.True(t, pending(m, 1))
	require.False(t, pending(m, 2))
	m.Advance(time.Minute)
	require.Nil(t, m.Storage.Sealed("versions/k/1"))
	require.False(t, pending(m, 1))
}

func TestAnActWhoseMaterialCannotMoveYetWarns(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	require.Empty(t, m.Must(m.K.Op("versions/1/archive")).Warnings)
	kek := m.Storage.All()["config/archive-kek"]
	require.NoError(t, m.Storage.Delete(t.Context(), "config/archive-kek"))
	m.Restart()
	for _, op := range []string{"versions/2/archive", "archive"} {
		a := m.Must(m.K.Op(op))
		require.Len(t, a.Warnings, 1)
		require.Contains(t, a.Warnings[0], "material_pending")
	}
	require.Equal(t, "archived", m.K.State(2))
	require.True(t, pending(m, 2))
	require.NotNil(t, m.Storage.Sealed("versions/k/2"))
	require.NoError(t, m.Storage.Put(t.Context(), &logical.StorageEntry{Key: "config/archive-kek", Value: kek}))
	m.Restart()
	m.Advance(time.Minute)
	require.False(t, pending(m, 2))
	require.Empty(t, m.Must(m.K.Op("recover")).Warnings)
}

func TestAnActOnMoreVersionsThanOneRequestMovesWarns(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.K.Make(65)
	require.Len(t, m.Must(m.K.Op("archive")).Warnings, 1)
	require.False(t, pending(m, 64))
	require.True(t, pending(m, 65))
	m.Advance(time.Minute)
	require.False(t, pending(m, 65))
	require.Empty(t, m.Must(m.Write("keys/k/config", "owner", "o")).Warnings)
}
