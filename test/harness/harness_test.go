// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package harness_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

func TestAServerKeepsItsStorageOverKillAndRestart(t *testing.T) {
	s := harness.Start(t, harness.Options{Mounts: map[string]string{"transit": "transit"}})
	s.Must(t, http.MethodPost, "transit/keys/k", nil)
	s.Kill()
	s.Restart(t)
	require.Contains(t, s.Must(t, http.MethodGet, "transit/keys/k", nil), "latest_version")
	s.Seal(t)
	require.Equal(t, http.StatusServiceUnavailable, s.Do(t, http.MethodGet, "transit/keys/k", nil).Status)
	s.Unseal(t)
	require.Contains(t, s.StoredKeys(t, "transit", ""), "policy/")
	require.Contains(t, string(s.Stored(t, "transit", "policy/k")), `"latest_version":1`)
	s.Stop(t)
}
