// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func (m *mount) pending(version int) bool {
	m.t.Helper()
	return m.must(m.read(fmt.Sprintf("keys/k/versions/%d", version))).data["material_pending"].(bool)
}

func TestDestroyedMaterialThatIsStillThereIsSaidToBe(t *testing.T) {
	t.Parallel()
	m, _ := underPolicy(t)
	m.advance(time.Minute)
	m.ops("versions/1/compromise", "versions/1/retire")
	m.leap(23 * time.Hour)
	stuck := deafTo{m.storage, "versions/"}
	for range 3 {
		m.clock.add(time.Hour)
		_ = m.tickOn(stuck)
	}
	require.Equal(t, "destroyed", m.state(1))
	require.NotNil(t, m.sealed("versions/k/1"))
	require.True(t, m.pending(1))
	require.False(t, m.pending(2))
	m.advance(time.Minute)
	require.Nil(t, m.sealed("versions/k/1"))
	require.False(t, m.pending(1))
}

func TestAnActWhoseMaterialCannotMoveYetWarns(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	require.Empty(t, m.must(m.op("versions/1/archive")).warnings)
	kek := m.dump()["config/archive-kek"]
	require.NoError(t, m.storage.Delete(t.Context(), "config/archive-kek"))
	m.restart()
	for _, op := range []string{"versions/2/archive", "archive"} {
		a := m.must(m.op(op))
		require.Len(t, a.warnings, 1)
		require.Contains(t, a.warnings[0], "material_pending")
	}
	require.Equal(t, "archived", m.state(2))
	require.True(t, m.pending(2))
	require.NotNil(t, m.sealed("versions/k/2"))
	require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: "config/archive-kek", Value: kek}))
	m.restart()
	m.advance(time.Minute)
	require.False(t, m.pending(2))
	require.Empty(t, m.must(m.op("recover")).warnings)
}

func TestAnActOnMoreVersionsThanOneRequestMovesWarns(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	prepareVersions(m, 65)
	require.Len(t, m.must(m.op("archive")).warnings, 1)
	require.False(t, m.pending(64))
	require.True(t, m.pending(65))
	m.advance(time.Minute)
	require.False(t, m.pending(65))
	require.Empty(t, m.must(m.write("keys/k/config", "owner", "o")).warnings)
}
