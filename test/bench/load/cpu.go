// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package load

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of time in /proc: a constant of Linux on every platform that Go runs on.
const tick = 10 * time.Millisecond

// CPU is the user and system time that a process has used, all its threads together, in ticks of 10 ms.
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return ofStat(string(stat))
}

// ofStat adds fields 14 and 15 of proc_pid_stat(5). The second one may hold spaces and parentheses.
func ofStat(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat of a process has %d fields after its name", len(fields))
	}
	var used time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		used += time.Duration(ticks) * tick
	}
	return used, nil
}
