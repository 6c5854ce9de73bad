// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// TestAKeyUnsealsAnotherVault has a second Vault unsealed by a key of ours, as by one of Transit: at its start, and after a restart
// before which the key was rotated.
func TestAKeyUnsealsAnotherVault(t *testing.T) {
	t.Parallel()
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	s.Must(t, http.MethodPost, mount+"/keys/autounseal", map[string]any{})
	other := harness.Start(t, harness.Options{Seal: fmt.Sprintf(`
seal "transit" {
  address         = %q
  token           = %q
  disable_renewal = "true"
  key_name        = "autounseal"
  mount_path      = "%s/"
}
`, s.Address(), s.Client().Token(), mount)})
	other.Must(t, http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv"})
	other.Must(t, http.MethodPost, "secret/kept", map[string]any{"value": "a secret"})

	s.Must(t, http.MethodPost, mount+"/keys/autounseal/rotate", map[string]any{})
	other.Stop(t)
	other.Restart(t)
	require.Equal(t, "a secret", other.Must(t, http.MethodGet, "secret/kept", nil)["value"])
}
