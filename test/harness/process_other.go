// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix && !linux

package harness

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// children lists the direct children of a process; pgrep answers 1 when there are none.
func children(parent int) ([]int, error) {
	text, _ := exec.Command("pgrep", "-P", strconv.Itoa(parent)).Output()
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("pgrep answered %q: %w", text, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
