// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/chaos/link"
	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// throwers say how a fault of each kind is thrown at a node, and put its way back into the queue.
var throwers = map[schedule.Kind]func(*Stage, *harness.Server, schedule.Fault) error{
	schedule.KillNode:     (*Stage).kill,
	schedule.KillAll:      (*Stage).killAll,
	schedule.Stop:         (*Stage).stop,
	schedule.StepDown:     repeated(stepDown),
	schedule.Cut:          cutting(link.Broken),
	schedule.Silence:      cutting(link.Silent),
	schedule.DiskFull:     (*Stage).fill,
	schedule.DiskSlow:     (*Stage).slowDisk,
	schedule.DiskFails:    (*Stage).failDisk,
	schedule.ClockAhead:   shifting(1),
	schedule.ClockBehind:  shifting(-1),
	schedule.KillPlugin:   repeated(killPlugin),
	schedule.ReloadPlugin: repeated(reloadPlugin),
	schedule.Seal:         (*Stage).seal,
	schedule.Restore:      (*Stage).restore,
	schedule.Tick:         repeated(tick),
	schedule.Age:          repeated(age),
	schedule.Sweep:        repeated(sweep),
}

func (s *Stage) throw(n *harness.Server, f schedule.Fault) error {
	do, ok := throwers[f.Kind]
	if !ok {
		return fmt.Errorf("nobody knows how to throw %q", f.Kind)
	}
	return do(s, n, f)
}

func (s *Stage) kill(n *harness.Server, f schedule.Fault) error {
	n.Kill()
	s.in(f.For, "start again", func() error { return n.Revive(patience) })
	return nil
}

func (s *Stage) killAll(_ *harness.Server, f schedule.Fault) error {
	for _, n := range s.cluster.Nodes {
		if err := n.Signal(syscall.SIGKILL); err != nil { // all die before one is waited for
			return err
		}
	}
	for _, n := range s.cluster.Nodes {
		n.Kill()
		s.in(f.For, "start again", func() error { return n.Revive(patience) })
	}
	return nil
}

func (s *Stage) stop(n *harness.Server, f schedule.Fault) error {
	from := time.Now()
	s.in(f.For, "continue", func() error { s.away(from); return n.Signal(syscall.SIGCONT) })
	return n.Signal(syscall.SIGSTOP)
}

// hearsAgain is how long after it a node may take to hear that another one leads: some times the timeout of an election.
const hearsAgain = 3 * time.Second

// away tells that a node has heard nothing since then, and is about to.
func (s *Stage) away(since time.Time) {
	s.watcher.Happened(history.Away, "", 0, since, time.Now().Add(hearsAgain))
}

func cutting(cut link.Cut) func(*Stage, *harness.Server, schedule.Fault) error {
	return func(s *Stage, n *harness.Server, f schedule.Fault) error {
		name, from := s.nameOf(n), time.Now()
		s.network.Set(name, cut)
		s.in(f.For, "mend the network", func() error {
			s.away(from)
			s.network.Set(name, link.Whole)
			return nil
		})
		return nil
	}
}

func (s *Stage) seal(n *harness.Server, f schedule.Fault) error {
	s.in(f.For, "unseal", func() error { return n.Revive(patience) })
	_, err := n.Ask(patience, http.MethodPut, "sys/seal", nil)
	return err
}

// repeated does a thing as often as the fault says, each time to the node that has the role then. That it fails once is no error: the
// one before may not be over.
func repeated(do func(*Stage, *harness.Server, schedule.Fault) error) func(*Stage, *harness.Server, schedule.Fault) error {
	return func(s *Stage, n *harness.Server, f schedule.Fault) error {
		done := &tally{}
		done.count(do(s, n, f))
		for i := 1; i < f.Times; i++ {
			s.in(time.Duration(i)*f.For, "again", func() error { done.count(do(s, s.node(f.Node), f)); return nil })
		}
		s.in(time.Duration(f.Times)*f.For, f.String(), done.result)
		return nil
	}
}

// tally is what became of what is done repeatedly.
type tally struct {
	done int
	last error
}

func (t *tally) count(err error) {
	if err == nil {
		t.done++
	} else {
		t.last = err
	}
}

// result is an error where nothing was done.
func (t *tally) result() error {
	if t.done > 0 {
		return nil
	}
	return fmt.Errorf("not once done: %w", t.last)
}

func stepDown(_ *Stage, n *harness.Server, _ schedule.Fault) error {
	_, err := n.Ask(patience, http.MethodPut, "sys/step-down", nil)
	return err
}

func killPlugin(_ *Stage, n *harness.Server, _ schedule.Fault) error {
	killed, err := n.KillPlugins()
	if err == nil && killed == 0 {
		err = errors.New("the node has no plugin process")
	}
	return err
}

func reloadPlugin(_ *Stage, n *harness.Server, _ schedule.Fault) error { return n.Reload(patience) }
