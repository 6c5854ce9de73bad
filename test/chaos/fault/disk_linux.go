// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// diskSize is the room for the storage of one node.
const diskSize = 256 << 20

const ballast = "ballast"

// SmallDisk makes a folder a file system of its own, in memory, that a fault can fill. The function that it returns gives it back.
func SmallDisk(folder string) (release func() error, err error) {
	err = syscall.Mount("keylife-chaos", folder, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize))
	if err != nil {
		return nil, fmt.Errorf("mount a small file system at %s (as root, or in a container that may mount): %w", folder, err)
	}
	return func() error { return syscall.Unmount(folder, syscall.MNT_DETACH) }, nil
}

// fill leaves no room on the node's disk.
func (s *Stage) fill(n *harness.Server, f schedule.Fault) error {
	path := filepath.Join(n.DataFolder(), ballast)
	var disk syscall.Statfs_t
	if err := syscall.Statfs(n.DataFolder(), &disk); err != nil {
		return err
	}
	if disk.Blocks*uint64(disk.Bsize) > diskSize { //nolint:gosec // a size of a block is positive
		return errors.New("the node's storage has no small file system of its own")
	}
	s.in(f.For, "make room", func() error { return s.makeRoom(n) })
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	free := int64(disk.Bfree) * disk.Bsize //nolint:gosec // as above
	for free > 0 {                         // the node writes meanwhile: less may be left than there was
		if err := syscall.Fallocate(int(file.Fd()), 0, 0, free); err == nil {
			return nil
		}
		free -= 64 << 10
	}
	return nil // it is full already
}

// makeRoom takes the fault back. A node that has ended of it is started again.
func (s *Stage) makeRoom(n *harness.Server) error {
	if err := os.Remove(filepath.Join(n.DataFolder(), ballast)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return n.Revive(patience)
}

func (s *Stage) slowDisk(n *harness.Server, f schedule.Fault) error {
	tracer, err := s.trace(n, "delay_enter="+strconv.FormatInt(f.By.Microseconds(), 10))
	if err != nil {
		return err
	}
	s.in(f.For, "end the delays", func() error { return end(tracer) })
	return nil
}

// failDisk is a disk that is exchanged: no node goes on with what could not be written.
func (s *Stage) failDisk(n *harness.Server, f schedule.Fault) error {
	tracer, err := s.trace(n, "error=EIO")
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

// trace has strace alter every fdatasync of the node; bbolt makes one for each transaction.
func (s *Stage) trace(n *harness.Server, what string) (*exec.Cmd, error) {
	tracer := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-p", strconv.Itoa(n.PID()), "-e", "trace=fdatasync", "-e", "inject=fdatasync:"+what)
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

// Able is an error where this machine cannot throw the faults of a kind.
func Able(kinds []schedule.Kind) error {
	for _, kind := range kinds {
		switch kind {
		case schedule.DiskFull:
			if os.Geteuid() != 0 {
				return fmt.Errorf("%s needs root: it fills a file system that it has mounted", kind)
			}
		case schedule.DiskSlow, schedule.DiskFails:
			if _, err := exec.LookPath("strace"); err != nil {
				return fmt.Errorf("%s: %w: scripts/deps.sh installs it", kind, err)
			}
		}
	}
	return nil
}
