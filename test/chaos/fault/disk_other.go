// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package fault

import (
	"errors"
	"os/exec"

	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

var errLinux = errors.New("faults of disks and networks are thrown on Linux only")

// Able is an error: here, no fault can be thrown that needs to know processes.
func Able([]schedule.Kind) error { return errLinux }

func (s *Stage) fill(*harness.Server, schedule.Fault) error     { return errLinux }
func (s *Stage) slowDisk(*harness.Server, schedule.Fault) error { return errLinux }
func (s *Stage) failDisk(*harness.Server, schedule.Fault) error { return errLinux }
func end(*exec.Cmd) error                                       { return nil }
