// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"
)

// What follows is for servers that are broken on purpose, where a request that fails is no failure of the test. Every request has an
// end, because a server that is stopped never answers.

// Running reports whether the process is there, be it stopped or sealed.
func (s *Server) Running() bool { return s.process.running() }

// PID is the server's process, which leads the process group of its plugins.
func (s *Server) PID() int { return s.process.pid }

// Signal sends a signal to the server and all its plugins. It is no error that they have ended.
func (s *Server) Signal(signal syscall.Signal) error {
	if err := syscall.Kill(-s.process.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %v: %w", signal, err)
	}
	return nil
}

// KillPlugins ends the plugin processes of the server, and returns how many there were.
func (s *Server) KillPlugins() (int, error) {
	pids, err := children(s.process.pid)
	if err != nil {
		return 0, err
	}
	killed := 0
	for _, pid := range pids {
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed, nil
}

// LogFile is what the server logs, over all its runs.
func (s *Server) LogFile() string { return s.files.log }

// Shift moves the plugin's time, back where d is negative, as [Server.Advance] does.
func (s *Server) Shift(d time.Duration) error {
	if s.clock == nil {
		return errors.New("the server has no clock to move")
	}
	return s.clock.move(d)
}

// Ask sends a request once and waits no longer than that for the answer. A status of 400 or above is an error.
func (s *Server) Ask(within time.Duration, method, path string, body any) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	reply, err := s.Send(Request{Method: method, Path: path, Body: body, Context: ctx})
	if err != nil {
		return nil, err
	}
	if reply.Status >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: %d %v", method, path, reply.Status, reply.Body["errors"])
	}
	if data := reply.Data(); len(data) > 0 {
		return data, nil
	}
	return reply.Body, nil
}

// Revive starts the server where it has ended, and unseals it where it is sealed. It does not wait until it is active or has joined
// the others: it may be alone.
func (s *Server) Revive(within time.Duration) error {
	if !s.process.running() {
		if err := s.run(); err != nil {
			return err
		}
	}
	status, err := s.Ask(within, http.MethodGet, "sys/seal-status", nil)
	if err != nil {
		return fmt.Errorf("seal status: %w", err)
	}
	if status["sealed"] == false || s.sealed {
		return nil
	}
	if _, err := s.Ask(within, http.MethodPut, "sys/unseal", map[string]any{"key": s.unsealKey}); err != nil {
		return fmt.Errorf("unseal: %w", err)
	}
	return nil
}

// Leading returns the node that says it is active, or nil while none does.
func (c *Cluster) Leading(within time.Duration) *Server {
	for _, s := range c.Running() {
		if leader, err := s.Ask(within, http.MethodGet, "sys/leader", nil); err == nil && leader["is_self"] == true {
			return s
		}
	}
	return nil
}

// Backup takes a snapshot of the whole storage.
func (s *Server) Backup(within time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var snapshot bytes.Buffer
	if err := s.client.Sys().RaftSnapshotWithContext(ctx, &snapshot); err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", err)
	}
	return snapshot.Bytes(), nil
}

// PutBack restores a snapshot of this cluster. Vault goes on with it some moments later.
func (s *Server) PutBack(within time.Duration, snapshot []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := s.client.Sys().RaftSnapshotRestoreWithContext(ctx, bytes.NewReader(snapshot), false); err != nil {
		return fmt.Errorf("restore a snapshot: %w", err)
	}
	return nil
}

// Reload has Vault end the plugin processes of the node and start new ones.
func (s *Server) Reload(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_, err := s.client.Sys().RootReloadPlugin(ctx, &api.RootReloadPluginInput{Plugin: PluginName, Type: api.PluginTypeSecrets})
	return err
}
