// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"errors"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// InstallPlugin puts the server's plugin into its plugin directory under one more name, for somebody to register.
func (s *Server) InstallPlugin(t testing.TB, name string) {
	t.Helper()
	_, err := s.files.installPlugin(filepath.Join(s.files.plugins, PluginName), name)
	require.NoError(t, err)
}

// PluginPIDs lists the plugin processes of the server. Vault has no children of another kind.
func (s *Server) PluginPIDs(t testing.TB) []int {
	t.Helper()
	pids, err := children(s.process.pid)
	require.NoError(t, err)
	return pids
}

// RevivePlugin has Vault start the plugin of the mount anew, as an operator would where a request does not: a process that ends
// while Vault starts it is one whose end Vault may not see.
func (s *Server) RevivePlugin(t testing.TB) {
	t.Helper()
	_ = s.Do(t, http.MethodPut, "sys/plugins/reload/backend", map[string]any{"mounts": "keylife/"}) // the end of the old one may be told as an error
}

// KillPlugin ends every plugin process of the server with SIGKILL and returns how many there were.
func (s *Server) KillPlugin(t testing.TB) int {
	t.Helper()
	killed := 0
	for _, pid := range s.PluginPIDs(t) {
		err := syscall.Kill(pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			continue // it has ended since
		}
		require.NoError(t, err)
		killed++
	}
	return killed
}

// RegisterAs puts the server's plugin into the catalogue under one more name, with that in its environment, as NAME=value. With the name of
// an engine of Vault's own it takes the place of it.
func (s *Server) RegisterAs(t testing.TB, name string, env ...string) {
	t.Helper()
	sum, err := s.files.installPlugin(filepath.Join(s.files.plugins, PluginName), name)
	require.NoError(t, err)
	require.NoError(t, s.client.Sys().RegisterPlugin(&api.RegisterPluginInput{Name: name, Type: api.PluginTypeSecrets, Command: name, SHA256: sum, Env: env}))
}
