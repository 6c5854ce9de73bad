// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Process is what the kernel says of a process.
type Process struct {
	Resident int64   `json:"resident"` // bytes
	Files    int     `json:"files"`    // descriptors that are open
	Threads  int     `json:"threads"`
	CPU      float64 `json:"cpu"` // seconds since its start
}

// clockTicks of the fields utime and stime make a second: Linux tells all programs so, whatever it counts by itself.
const clockTicks = 100

// look asks the kernel about a process, by proc(5).
func look(pid int) (p Process, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return p, err
	}
	p.Files = len(files)
	// The name in the second field may hold anything; what follows it begins with the third.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 22 {
		return p, fmt.Errorf("/proc/%d/stat has %d fields behind the name", pid, len(fields))
	}
	var numbers [4]int64
	for i, at := range []int{14, 15, 20, 24} { // utime, stime, num_threads, rss
		if numbers[i], err = strconv.ParseInt(fields[at-3], 10, 64); err != nil {
			return p, fmt.Errorf("/proc/%d/stat, field %d: %w", pid, at, err)
		}
	}
	p.CPU = float64(numbers[0]+numbers[1]) / clockTicks
	p.Threads = int(numbers[2])
	p.Resident = numbers[3] * int64(os.Getpagesize())
	return p, nil
}
