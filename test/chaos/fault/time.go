// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"fmt"
	"net/http"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// snapshotPatience is how long Vault may take to write a snapshot, or to read one.
const snapshotPatience = 15 * time.Second

// What is retired is destroyed a day later. The clock guard holds destructions back when time leaps by more than 12 hours without
// ticks.
const (
	ageBy = 11 * time.Hour
	ages  = 3
)

// shift moves the time of all plugins and tells so.
func (s *Stage) shift(by time.Duration) error {
	from := time.Now()
	if err := s.cluster.Nodes[0].Shift(by); err != nil {
		return err
	}
	s.watcher.Happened(history.Clock, "", by, from, time.Now())
	return nil
}

func shifting(sign time.Duration) func(*Stage, *harness.Server, schedule.Fault) error {
	return func(s *Stage, _ *harness.Server, f schedule.Fault) error {
		s.in(f.For, "put the clock right", func() error { return s.shift(-sign * f.By) })
		return s.shift(sign * f.By)
	}
}

// restore takes a snapshot, and puts it back when the fault's time is over.
func (s *Stage) restore(n *harness.Server, f schedule.Fault) error {
	from := time.Now()
	snapshot, err := n.Backup(snapshotPatience)
	if err != nil {
		return err
	}
	name := f.At.String()
	s.watcher.Happened(history.Snapshot, name, 0, from, time.Now())
	s.in(f.For, "restore a snapshot", func() error {
		from := time.Now()
		s.beside.Wait() // a mount that is moved is at two places
		err := s.node(schedule.Leader).PutBack(snapshotPatience, snapshot)
		// One that failed may have been restored all the same.
		s.watcher.Happened(history.Restored, name, 0, from, time.Now())
		return err
	})
	return nil
}

// tick has Vault call the plugin's periodic function now, as it does before it moves a mount: the mount is moved away and back. It does
// not wait for that.
func tick(s *Stage, n *harness.Server, _ schedule.Fault) error {
	s.beside.Wait()
	moved, err := begin(n, s.mount, s.mount+onItsWay, patience)
	if err != nil {
		return err
	}
	s.beside.Go(func() { // what of this fails by another fault is put right below, or by Heal
		if moved() == nil {
			_ = remount(n, s.mount+onItsWay, s.mount, patience)
		}
	})
	for _, later := range putBack {
		s.in(later, "put the mount back", func() error { s.moveOn(); return nil })
	}
	return nil
}

// putBack is when it is looked whether a mount that was moved is back: until then its clients are refused.
var putBack = []time.Duration{time.Second, 3 * time.Second}

// age lets hours pass, and the clock do what became due.
func age(s *Stage, n *harness.Server, f schedule.Fault) error {
	if err := s.shift(f.By); err != nil {
		return err
	}
	return tick(s, n, f)
}

const onItsWay = "-on-its-way"

// move moves a mount away and back, and looks until each has come to its end.
func move(n *harness.Server, mount string, within time.Duration) error {
	if err := remount(n, mount, mount+onItsWay, within); err != nil {
		return err
	}
	return remount(n, mount+onItsWay, mount, within)
}

// settle moves a mount back whose move away was cut short.
func settle(n *harness.Server, mount string) error {
	mounts, err := n.Ask(patience, http.MethodGet, "sys/mounts", nil)
	if err != nil {
		return err
	}
	if mounts[mount+onItsWay+"/"] == nil {
		return nil
	}
	return remount(n, mount+onItsWay, mount, snapshotPatience)
}

func remount(n *harness.Server, from, to string, within time.Duration) error {
	moved, err := begin(n, from, to, within)
	if err != nil {
		return err
	}
	return moved()
}

// begin begins to move a mount. The function that it returns waits for the end of that.
func begin(n *harness.Server, from, to string, within time.Duration) (moved func() error, err error) {
	started, err := n.Ask(within, http.MethodPost, "sys/remount", map[string]any{"from": from, "to": to})
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(within)
	return func() error {
		for {
			moved, err := n.Ask(within, http.MethodGet, fmt.Sprintf("sys/remount/status/%v", started["migration_id"]), nil)
			if err != nil {
				return err
			}
			info, _ := moved["migration_info"].(map[string]any)
			switch status := info["status"]; {
			case status == "success":
				return nil
			case status == "failure" || time.Now().After(end):
				return fmt.Errorf("move %s to %s: %v", from, to, status)
			}
			<-time.After(movePace)
		}
	}, nil
}

const movePace = 20 * time.Millisecond

// sweep replaces the key encryption keys of the mount's token, and has a tick begin to wrap all material anew.
func sweep(s *Stage, n *harness.Server, f schedule.Fault) error {
	body := map[string]any{"purpose": "use", "reason": "chaos"}
	if _, err := n.Ask(patience, http.MethodPost, s.mount+"/hsm/keks/rotate", body); err != nil {
		return err
	}
	return tick(s, n, f)
}
