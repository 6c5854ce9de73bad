// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// use encrypts with so many keys and returns how many versions are in memory then.
func use(m *mounttest.Mount, keys int) int {
	m.T.Helper()
	for i := range keys {
		m.Encrypt(fmt.Sprintf("k-%d", i), "x")
	}
	return len(mounttest.Cached(m))
}

func TestTheCacheIsBoundedAtOnceAndAfterARestart(t *testing.T) {
	m := mounttest.New(t)
	require.Equal(t, map[string]any{"size": 0}, m.Must(m.Read("cache-config")).Data)
	require.Equal(t, 15, use(m, 15))
	require.Equal(t, map[string]any{"size": 10}, m.Must(m.Write("cache-config", "size", 10, "reason", "little memory")).Data)
	require.Len(t, mounttest.Cached(m), 10)
	require.Equal(t, 10, use(m, 15))
	history := fmt.Sprint(m.Must(m.Read("config/history")).Data)
	require.Contains(t, history, "configure-cache")
	require.Contains(t, history, "0 -> 10")
	m.Restart()
	require.NoError(t, m.Initialize(t.Context(), &logical.InitializationRequest{Storage: m.Storage}))
	require.Equal(t, 10, use(m, 15))
	require.Equal(t, map[string]any{"size": 10}, m.Must(m.Read("cache-config")).Data)
	m.Must(m.Write("cache-config"))
	require.Equal(t, 15, use(m, 15), "what is not given gets its default")
	mounttest.RequireCustodyWhole(t, m)
}

func TestAnotherNodeBoundsTheCache(t *testing.T) {
	m := mounttest.New(t)
	require.Equal(t, 15, use(m, 15))
	m.Storage.Plant("config/cache", []byte(`{"schema":1,"size":10}`))
	m.InvalidateKey(t.Context(), "config/cache")
	m.Storage.FailGets("config/cache")
	require.Equal(t, 15, use(m, 15), "a size that cannot be read is in nobody's way")
	m.Storage.Heal()
	m.Storage.Reset()
	m.Encrypt("k-14", "x")
	require.Len(t, mounttest.Cached(m), 10)
	require.Equal(t, storagetest.Counts{Gets: 1}, m.Storage.Reset(), "the size, once")
	m.Encrypt("k-14", "x")
	require.Zero(t, m.Storage.Reset().Total())
}

func TestASizeThatIsNoneIsRefused(t *testing.T) {
	m := mounttest.New(t)
	for _, size := range []any{1, 9, -1, "x", 1.5, 4294967296.0} {
		m.Refused(m.Write("cache-config", "size", size), "size")
	}
	require.Empty(t, m.Storage.All())
}

func TestAMountWithoutACacheHasNoSize(t *testing.T) {
	m := mounttest.New(t)
	m.System.CachingDisabledVal = true
	m.Restart()
	require.Equal(t, http.StatusInternalServerError, m.Read("cache-config").Status, "as in Transit")
	require.Len(t, m.Must(m.Write("cache-config", "size", 20)).Warnings, 1)
	require.Zero(t, use(m, 3))
}
