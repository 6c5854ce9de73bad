// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// activeTimeout is how long a raft node of one may take to elect itself.
const activeTimeout = 30 * time.Second

func (s *Server) setUp(sum string, o Options) error {
	if err := s.initialise(); err != nil {
		return err
	}
	if err := s.unseal(); err != nil {
		return err
	}
	if err := s.register(sum, o.Env); err != nil {
		return err
	}
	for path, kind := range o.Mounts {
		if err := s.mount(path, kind); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) initialise() error {
	request := &api.InitRequest{SecretShares: 1, SecretThreshold: 1}
	if s.sealed {
		request = &api.InitRequest{RecoveryShares: 1, RecoveryThreshold: 1}
	}
	reply, err := s.client.Sys().Init(request)
	if err != nil {
		return fmt.Errorf("initialise: %w", err)
	}
	s.token = reply.RootToken
	if !s.sealed {
		s.unsealKey = reply.Keys[0]
	}
	s.client.SetToken(s.token)
	return nil
}

// unseal returns when the node serves requests: first it is unsealed, then elected, then it has set up its mounts. A node of a
// cluster need not be elected: it serves by forwarding.
func (s *Server) unseal() error {
	if !s.sealed {
		if _, err := s.client.Sys().Unseal(s.unsealKey); err != nil {
			return fmt.Errorf("unseal: %w", err)
		}
	}
	return poll(activeTimeout, func() error {
		leader, err := s.client.Sys().Leader()
		if err != nil {
			return err
		}
		if !leader.IsSelf && (!s.member || leader.LeaderAddress == "") {
			return errors.New("the node is not active")
		}
		_, err = s.client.Sys().ListMounts()
		return err
	})
}

func (s *Server) register(sum string, env []string) error {
	in := &api.RegisterPluginInput{Name: PluginName, Type: api.PluginTypeSecrets, Command: PluginName, SHA256: sum, Env: env}
	if s.clock != nil {
		in.Env = append(slices.Clip(env), clockVariable+"="+s.clock.path)
	}
	if err := s.client.Sys().RegisterPlugin(in); err != nil {
		return fmt.Errorf("register the plugin: %w", err)
	}
	return nil
}

func (s *Server) mount(path, kind string) error {
	if err := s.client.Sys().Mount(path, &api.MountInput{Type: kind}); err != nil {
		return fmt.Errorf("mount %s at %s: %w", kind, path, err)
	}
	return nil
}

// Mount enables an engine at a path.
func (s *Server) Mount(t testing.TB, path, kind string) {
	t.Helper()
	require.NoError(t, s.mount(path, kind))
}

// Unmount disables the engine at a path and deletes what it stored.
func (s *Server) Unmount(t testing.TB, path string) {
	t.Helper()
	require.NoError(t, s.client.Sys().Unmount(path))
}

// Seal seals the server; its plugin processes end.
func (s *Server) Seal(t testing.TB) {
	t.Helper()
	require.NoError(t, s.client.Sys().Seal())
}

// Unseal unseals the server and waits until it is active.
func (s *Server) Unseal(t testing.TB) {
	t.Helper()
	require.NoError(t, s.unseal())
}

// ReloadPlugin makes Vault end the plugin processes and start new ones for the same mounts.
func (s *Server) ReloadPlugin(t testing.TB) {
	t.Helper()
	_, err := s.client.Sys().RootReloadPlugin(context.Background(), &api.RootReloadPluginInput{
		Plugin: PluginName,
		Type:   api.PluginTypeSecrets,
	})
	require.NoError(t, err)
}
