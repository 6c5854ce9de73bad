// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// BuildVersion builds the plugin from a folder with the module's sources, as a release of a version, and returns the path of the binary.
func BuildVersion(t testing.TB, source, version string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), PluginName)
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-X main.version="+version, "-o", binary, "./cmd/vault-plugin-keylife")
	build.Dir, build.Env = source, append(build.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return binary
}

// RegisterVersion puts a binary into the catalogue as one more version of the plugin.
func (s *Server) RegisterVersion(t testing.TB, binary, version string) {
	t.Helper()
	command := PluginName + "-" + version
	sum, err := s.files.installPlugin(binary, command)
	require.NoError(t, err)
	require.NoError(t, s.client.Sys().RegisterPlugin(&api.RegisterPluginInput{
		Name: PluginName, Type: api.PluginTypeSecrets, Command: command, SHA256: sum, Version: version,
	}))
}

// TuneVersion says which version of its plugin a mount runs from its next reload on.
func (s *Server) TuneVersion(t testing.TB, mount, version string) {
	t.Helper()
	s.Must(t, http.MethodPost, "sys/mounts/"+mount+"/tune", map[string]any{"plugin_version": version})
}

// ReloadMount makes Vault start the plugin of a mount anew, in the version that the mount is tuned to.
func (s *Server) ReloadMount(t testing.TB, mount string) {
	t.Helper()
	_, err := s.client.Sys().ReloadPluginWithContext(context.Background(), &api.ReloadPluginInput{Mounts: []string{mount + "/"}})
	require.NoError(t, err)
}

// RunningVersion is the version of the plugin that serves a mount.
func (s *Server) RunningVersion(t testing.TB, mount string) string {
	t.Helper()
	mounts, err := s.client.Sys().ListMounts()
	require.NoError(t, err)
	require.Contains(t, mounts, mount+"/")
	return mounts[mount+"/"].RunningVersion
}
