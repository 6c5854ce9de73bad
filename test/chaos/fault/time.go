// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"fmt"
	"net/http"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// snapshotPatience is how long Vault may take to write a snapshot, or to read one.
const snapshotPatience = 15 * time.Second

// shift moves the time of all plugins and tells so.
func (s *Stage) shift(by time.Duration) error {
	from := time.Now()
	if err := s.cluster.Nodes[0].Shift(by); err != nil {
		return err
	}
	s.shifted += by
	s.watcher.Happened("clock", "", by, from, time.Now())
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
	s.watcher.Happened("snapshot", name, 0, from, time.Now())
	s.in(f.For, "restore a snapshot", func() error {
		from := time.Now()
		err := s.node(schedule.Leader).PutBack(snapshotPatience, snapshot)
		// One that failed may have been restored all the same.
		s.watcher.Happened("restored", name, 0, from, time.Now())
		return err
	})
	return nil
}

// tick has Vault call the plugin's periodic function now, as it does before it moves a mount: the mount is moved away and back.
func tick(s *Stage, n *harness.Server) error { return move(n, s.mount, patience) }

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
	started, err := n.Ask(within, http.MethodPost, "sys/remount", map[string]any{"from": from, "to": to})
	if err != nil {
		return err
	}
	end := time.Now().Add(within)
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
		<-time.After(20 * time.Millisecond)
	}
}

// sweep replaces the key encryption keys of the mount's token. A tick then begins to wrap all material anew.
func sweep(s *Stage, n *harness.Server) error {
	_, err := n.Ask(patience, http.MethodPost, s.mount+"/hsm/keks/rotate", map[string]any{"purpose": "use"})
	return err
}
