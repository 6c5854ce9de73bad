// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/chaos/link"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// A cluster that is not well within healLimit stays broken. It is looked at each healPace.
const (
	healLimit = 5 * time.Minute
	healPace  = 100 * time.Millisecond
	movesAt   = 2 * time.Second  // a mount that does not answer by then is moved once more
	reloadsAt = 15 * time.Second // and by then has its plugin started anew
	hangsAt   = 20 * time.Second // a node that does not say whether it is sealed is started again
	lagsAt    = 40 * time.Second // and a leader whom a node does not follow: raft may have given up to send that node what it lacks
)

// Heal takes everything back and waits until the cluster has one leader whom all follow, and the mount answers through each node. Where the plugin's clock guard is frozen
// since the clock was moved, the time is acknowledged, as an operator does.
func (s *Stage) Heal() error {
	for _, tracer := range s.strace {
		_ = end(tracer)
	}
	for i, n := range s.cluster.Nodes {
		s.network.Set(NodeName(i), link.Whole)
		if n.Running() {
			if err := n.Signal(syscall.SIGCONT); err != nil {
				return err
			}
		}
	}
	return s.wait(s.well)
}

// wait looks until the cluster is well, and does what an operator would where it does not get well by itself.
func (s *Stage) wait(look func() error) error {
	began, move, reload, hangs, lags := time.Now(), movesAt, reloadsAt, hangsAt, lagsAt
	for {
		err := look()
		since := time.Since(began)
		switch {
		case err == nil:
			return nil
		case since > healLimit:
			return fmt.Errorf("not well after %s: %w", healLimit, err)
		case since > lags:
			s.changeLeader()
			lags += lagsAt
		case since > hangs:
			s.restartHung()
			hangs += hangsAt
		case since > reload:
			s.revivePlugins()
			reload += reloadsAt
		case since > move:
			s.moveOn()
			move *= 2
		}
		<-time.After(healPace)
	}
}

// restartHung starts nodes anew that hang: Vault may, when it is sealed while others ask it.
func (s *Stage) restartHung() {
	for i, n := range s.cluster.Nodes {
		if _, err := n.Ask(patience, http.MethodGet, "sys/seal-status", nil); err == nil || !n.Running() {
			continue
		}
		from := time.Now()
		n.Kill() // it is started as any node that has ended
		s.watcher.Happened(history.Fault, NodeName(i)+" hung, killed", 0, from, time.Now())
	}
}

// changeLeader ends the leader, where a node does not follow it.
func (s *Stage) changeLeader() {
	leader := s.cluster.Leading(patience)
	if leader == nil || s.follow(leader) == nil {
		return
	}
	from := time.Now()
	leader.Kill() // it is started as any node that has ended
	s.watcher.Happened(history.Fault, NodeName(slices.Index(s.cluster.Nodes, leader))+" led, and was not followed: killed", 0, from, time.Now())
}

// moveOn moves a mount once more that does not answer: where a move was cut short Vault leaves it tainted, and sends it no requests.
func (s *Stage) moveOn() {
	leader := s.cluster.Leading(leading)
	if leader == nil {
		return
	}
	if _, err := leader.Ask(patience, http.MethodGet, s.mount+"/config/clock", nil); err == nil {
		return
	}
	s.beside.Wait()
	if settle(leader, s.mount) == nil {
		_ = move(leader, s.mount, patience) // it is tried again
	}
}

// revivePlugins has Vault start all plugins anew: one that has ended while Vault started it is one whose end Vault may not see.
func (s *Stage) revivePlugins() {
	for _, n := range s.cluster.Running() {
		_ = n.Reload(patience) // the end of the old one may be told as an error
	}
}

// well is an error while the cluster is not as it was.
func (s *Stage) well() error {
	for i, n := range s.cluster.Nodes {
		if err := n.Revive(patience); err != nil {
			return fmt.Errorf("%s: %w", NodeName(i), err)
		}
	}
	leader := s.cluster.Leading(patience)
	if leader == nil {
		return errors.New("no node leads")
	}
	if err := s.follow(leader); err != nil {
		return err
	}
	if err := settle(leader, s.mount); err != nil {
		return err
	}
	for i, n := range s.cluster.Nodes {
		if err := s.answers(n); err != nil {
			return fmt.Errorf("%s: %w", NodeName(i), err)
		}
	}
	return nil
}

// follow is an error while a node has not applied what the leader has now.
func (s *Stage) follow(leader *harness.Server) error {
	want, err := applied(leader)
	if err != nil {
		return err
	}
	for i, n := range s.cluster.Nodes {
		end := time.Now().Add(patience)
		have, err := applied(n)
		for err == nil && have < want && time.Now().Before(end) {
			<-time.After(movePace)
			have, err = applied(n)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", NodeName(i), err)
		}
		if have < want {
			return fmt.Errorf("%s has applied %d of %d", NodeName(i), have, want)
		}
	}
	return nil
}

// applied is the index of the last entry of the raft log that the node has applied.
func applied(n *harness.Server) (int64, error) {
	state, err := n.Ask(patience, http.MethodGet, "sys/leader", nil)
	if err != nil {
		return 0, err
	}
	if state["leader_address"] == "" {
		return 0, errors.New("knows no leader")
	}
	index, ok := state["raft_applied_index"].(json.Number)
	if !ok {
		return 0, fmt.Errorf("no raft_applied_index in %v", state)
	}
	return index.Int64()
}

// answers is an error while a node does not reach the mount, or its clock guard holds steps back.
func (s *Stage) answers(n *harness.Server) error {
	guard, err := n.Ask(patience, http.MethodGet, s.mount+"/config/clock", nil)
	if err != nil {
		return err
	}
	if guard["frozen"] != true {
		return nil
	}
	from := time.Now()
	if _, err := n.Ask(patience, http.MethodPost, s.mount+"/config/clock", map[string]any{"acknowledge": true}); err != nil {
		return err
	}
	s.watcher.Happened(history.Believed, "", 0, from, time.Now())
	return nil
}

// Tick has the clock do to the mount's keys what is due. No client may run.
func (s *Stage) Tick() error {
	return s.wait(func() error {
		leader := s.cluster.Leading(patience)
		if leader == nil {
			return errors.New("no node leads")
		}
		if err := settle(leader, s.mount); err != nil {
			return err
		}
		return move(leader, s.mount, snapshotPatience)
	})
}
