// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"

	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// What strace alters: bbolt makes one fdatasync for each transaction, and writes its files, and nothing else, by pwrite64.
const (
	syncs  = "fdatasync"
	writes = "pwrite64"
)

// fill is a disk without room. A node that has ended of it is started again when there is.
func (s *Stage) fill(n *harness.Server, f schedule.Fault) error {
	tracer, err := s.trace(n, writes, "error=ENOSPC")
	if err != nil {
		return err
	}
	s.in(f.For, "make room", func() error { return errors.Join(end(tracer), n.Revive(patience)) })
	return nil
}

func (s *Stage) slowDisk(n *harness.Server, f schedule.Fault) error {
	tracer, err := s.trace(n, syncs, "delay_enter="+strconv.FormatInt(f.By.Microseconds(), 10))
	if err != nil {
		return err
	}
	s.in(f.For, "end the delays", func() error { return end(tracer) })
	return nil
}

// failDisk is a disk that is exchanged: no node goes on with what could not be written.
func (s *Stage) failDisk(n *harness.Server, f schedule.Fault) error {
	tracer, err := s.trace(n, syncs, "error=EIO")
	if err != nil {
		return err
	}
	s.in(f.For, "exchange the disk", func() error {
		n.Kill()
		err := end(tracer)
		return errors.Join(err, n.Revive(patience))
	})
	return nil
}

// trace has strace alter every call of one kind that the node makes.
func (s *Stage) trace(n *harness.Server, call, what string) (*exec.Cmd, error) {
	tracer := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-p", strconv.Itoa(n.PID()), "-e", "trace="+call, "-e", "inject="+call+":"+what)
	if err := tracer.Start(); err != nil {
		return nil, fmt.Errorf("strace (scripts/deps.sh installs it): %w", err)
	}
	s.strace = append(s.strace, tracer)
	return tracer, nil
}

// end lets a tracer detach.
func end(tracer *exec.Cmd) error {
	if tracer.ProcessState != nil {
		return nil
	}
	_ = tracer.Process.Signal(syscall.SIGTERM) // it has ended with its node
	_ = tracer.Wait()                          // by our signal, or with the node
	return nil
}

// Able is an error where this machine cannot throw faults of these kinds.
func Able(kinds []schedule.Kind) error {
	for _, kind := range kinds {
		if !slices.Contains([]schedule.Kind{schedule.DiskFull, schedule.DiskSlow, schedule.DiskFails}, kind) {
			continue
		}
		if _, err := exec.LookPath("strace"); err != nil {
			return fmt.Errorf("%s: %w: scripts/deps.sh installs it", kind, err)
		}
	}
	return nil
}
