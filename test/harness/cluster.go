// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// failoverTimeout is how long the nodes that are left may take until one of them is active and serves its mounts.
const failoverTimeout = 30 * time.Second

// Cluster is servers over one storage, by raft. One is active; the others are standbys and forward to it what they are asked.
// Its methods may not be called while a node is killed or restarted.
type Cluster struct{ Nodes []*Server }

// StartCluster runs a cluster for one test; all its nodes vote when it returns. The nodes have one clock.
func StartCluster(t testing.TB, nodes int, o Options) *Cluster {
	t.Helper()
	o.member = 1
	first := Start(t, o)
	c := &Cluster{Nodes: []*Server{first}}
	// A node that has joined has a vote once it was well for so long.
	first.Must(t, http.MethodPost, "sys/storage/raft/autopilot/configuration", map[string]any{"server_stabilization_time": "1s"})
	for o.member < nodes {
		o.member++
		c.join(t, o)
	}
	Eventually(t, failoverTimeout, c.voting)
	return c
}

// join adds a node to what the first has set up.
func (c *Cluster) join(t testing.TB, o Options) {
	t.Helper()
	s, _, err := boot(t.TempDir(), o)
	if s != nil {
		s.endWith(t)
	}
	require.NoError(t, err)
	first := c.Nodes[0]
	s.unsealKey, s.token, s.clock = first.unsealKey, first.token, first.clock
	s.client.SetToken(s.token)
	_, err = s.client.Sys().RaftJoin(&api.RaftJoinRequest{LeaderAPIAddr: first.address})
	require.NoError(t, err)
	require.NoError(t, s.unseal())
	c.Nodes = append(c.Nodes, s)
}

// voting is an error while a node has no vote: the others would be no majority without the active one.
func (c *Cluster) voting() error {
	reply, err := c.Nodes[0].Send(Request{Method: http.MethodGet, Path: "sys/storage/raft/configuration"})
	if err != nil {
		return err
	}
	config, _ := reply.Data()["config"].(map[string]any)
	servers, _ := config["servers"].([]any)
	voters := 0
	for _, s := range servers {
		if s, _ := s.(map[string]any); s["voter"] == true {
			voters++
		}
	}
	if voters != len(c.Nodes) {
		return fmt.Errorf("%d of %d nodes vote", voters, len(c.Nodes))
	}
	return nil
}

// Running are the nodes that were not stopped or killed.
func (c *Cluster) Running() []*Server {
	var running []*Server
	for _, s := range c.Nodes {
		if s.process.running() {
			running = append(running, s)
		}
	}
	return running
}

// Active waits until a node is active and serves its mounts, and returns it.
func (c *Cluster) Active(t testing.TB) *Server {
	t.Helper()
	var active *Server
	Eventually(t, failoverTimeout, func() error {
		for _, s := range c.Running() {
			if leader, err := s.client.Sys().Leader(); err != nil || !leader.IsSelf {
				continue
			}
			active = s
			_, err := s.client.Sys().ListMounts()
			return err
		}
		return errors.New("no node is active")
	})
	return active
}

// Standbys are the nodes that run and are not active.
func (c *Cluster) Standbys(t testing.TB) []*Server {
	t.Helper()
	active := c.Active(t)
	var standbys []*Server
	for _, s := range c.Running() {
		if s != active {
			standbys = append(standbys, s)
		}
	}
	return standbys
}

// KillActive ends the active node and its plugins at once with SIGKILL, and returns it for [Server.Restart].
func (c *Cluster) KillActive(t testing.TB) *Server {
	t.Helper()
	active := c.Active(t)
	active.Kill()
	return active
}
