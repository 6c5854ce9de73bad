// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package fault throws the faults of a plan at a real cluster, takes each back, and heals the cluster in the end. It knows nothing
// about keys.
//
// Invariants: one goroutine throws faults, so that the harness's servers need no locks; no request waits for a server that is stopped
// longer than patience; what cannot be thrown is told and is not taken for thrown; Heal takes everything back, whatever became of
// the steps.
package fault

import (
	"fmt"
	"os/exec"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/chaos/link"
	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	patience  = 2 * time.Second        // with a request of ours to a cluster that is broken on purpose
	amidLimit = 4 * time.Second        // a fault does not wait longer for the act that it is to hit
	leading   = 300 * time.Millisecond // with a node that is asked whether it leads
)

// Watcher is who is told what happens, and knows what clients do.
type Watcher interface {
	// Happened is told an event between two times. The kinds are those of the package history.
	Happened(kind, name string, shift time.Duration, from, to time.Time)
	// Sent is closed when the next act of a kind is sent.
	Sent(act string) <-chan struct{}
}

// Stage is a cluster under fire, for one plan.
type Stage struct {
	cluster *harness.Cluster
	network *link.Network
	mount   string
	watcher Watcher

	leader *harness.Server // who led when last asked: while nobody leads a fault is thrown at who did
	strace []*exec.Cmd
	amiss  []string // faults that could not be thrown, and why
	queue  []step
	beside sync.WaitGroup // ticks that are under way
}

// New makes a stage of a cluster whose nodes were started in order and reach each other through the network, by [NodeName].
func New(c *harness.Cluster, n *link.Network, mount string, w Watcher) *Stage {
	return &Stage{cluster: c, network: n, mount: mount, watcher: w, leader: c.Nodes[0]}
}

// NodeName is the name of a node in the network; the first is 0.
func NodeName(index int) string { return fmt.Sprintf("node-%d", index+1) }

// step is something to do at a time.
type step struct {
	due  time.Time
	name string
	do   func() error
}

// Throw throws the faults of a plan and takes them back; it returns when the last is. What could not be thrown is returned.
func (s *Stage) Throw(p schedule.Plan) (amiss []string) {
	began := time.Now()
	for _, f := range p.Faults {
		s.at(began.Add(f.At), f.String(), func() error { return s.begin(f) })
	}
	for len(s.queue) > 0 {
		next := s.queue[0]
		s.queue = s.queue[1:]
		<-time.After(time.Until(next.due))
		if err := next.do(); err != nil {
			s.amiss = append(s.amiss, fmt.Sprintf("%s: %v", next.name, err))
		}
	}
	s.beside.Wait()
	return s.amiss
}

// at puts a step into the queue, after those that are due no later.
func (s *Stage) at(due time.Time, name string, do func() error) {
	i := 0
	for i < len(s.queue) && !s.queue[i].due.After(due) {
		i++
	}
	s.queue = append(s.queue, step{})
	copy(s.queue[i+1:], s.queue[i:])
	s.queue[i] = step{due, name, do}
}

// in puts a step into the queue, some time from now.
func (s *Stage) in(after time.Duration, name string, do func() error) {
	s.at(time.Now().Add(after), name, do)
}

// begin waits for the act that the fault is to hit, and throws it.
func (s *Stage) begin(f schedule.Fault) error {
	node := s.node(f.Node) // now: it takes some requests
	if f.Amid != "" {
		s.await(f.Amid)
		<-time.After(f.Late)
	}
	from := time.Now()
	err := s.throw(node, f)
	name := f.String()
	if err != nil {
		name += ", not thrown: " + err.Error()
	}
	s.watcher.Happened(history.Fault, name, 0, from, time.Now())
	return err
}

// await returns when something begins that a fault is to hit, be it an act of clients or what is begun for it, or does not come.
func (s *Stage) await(amid string) {
	switch amid {
	case schedule.AmidDestruction:
		for range ages {
			s.beside.Wait()
			_ = age(s, s.node(schedule.Leader), schedule.Fault{By: ageBy}) // a cluster that is broken does not age
		}
	case schedule.AmidSweep:
		_ = sweep(s, s.node(schedule.Leader), schedule.Fault{})
	case schedule.AmidTick:
		_ = tick(s, s.node(schedule.Leader), schedule.Fault{})
	default:
		select {
		case <-s.watcher.Sent(amid):
		case <-time.After(amidLimit):
		}
	}
}

// node finds the node that has a role now. While nobody leads, it waits a little, and then takes who did.
func (s *Stage) node(r schedule.Role) *harness.Server {
	for end := time.Now().Add(patience); ; <-time.After(healPace) {
		if now := s.cluster.Leading(leading); now != nil {
			s.leader = now
			break
		}
		if r == schedule.All || time.Now().After(end) {
			break
		}
	}
	if r != schedule.Follower && s.leader.Running() {
		return s.leader
	}
	for _, n := range s.cluster.Running() {
		if n != s.leader {
			return n
		}
	}
	return s.leader
}

func (s *Stage) nameOf(node *harness.Server) string {
	for i, n := range s.cluster.Nodes {
		if n == node {
			return NodeName(i)
		}
	}
	return ""
}
