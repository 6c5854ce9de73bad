// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/vault/api"
)

// Plugin is a secrets engine that a server runs beside the one of [PluginName].
type Plugin struct {
	Name   string   // in the catalogue, and of the file in the plugin directory
	Binary string   // path of the executable; it is copied
	Env    []string // as NAME=value
}

// Register puts a plugin into the catalogue.
func (s *Server) Register(p Plugin) error {
	sum, err := s.files.installPlugin(p.Binary, p.Name)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", p.Name, err)
	}
	in := &api.RegisterPluginInput{Name: p.Name, Type: api.PluginTypeSecrets, Command: p.Name, SHA256: sum, Env: p.Env}
	if err := s.client.Sys().RegisterPlugin(in); err != nil {
		return fmt.Errorf("register the plugin %s: %w", p.Name, err)
	}
	return nil
}

// Enable enables an engine at a path, as [Server.Mount] does in a test.
func (s *Server) Enable(path, kind string) error { return s.mount(path, kind) }

// ServerPID is the process of the server alone.
func (s *Server) ServerPID() int { return s.process.pid }

// PluginPID is the process that runs a plugin, or an error unless there is one exactly.
func (s *Server) PluginPID(name string) (int, error) {
	pids, err := children(s.process.pid)
	if err != nil {
		return 0, err
	}
	found := 0
	for _, pid := range pids {
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue // it has ended since
		}
		if first, _, _ := strings.Cut(string(command), "\x00"); filepath.Base(first) != name {
			continue
		}
		if found != 0 {
			return 0, fmt.Errorf("plugin %s runs in the processes %d and %d", name, found, pid)
		}
		found = pid
	}
	if found == 0 {
		return 0, fmt.Errorf("plugin %s does not run", name)
	}
	return found, nil
}
