// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package link

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// CommandOf is the command line of the child of this process that has the near end of a TCP connection over IPv4 whose address that
// is, its arguments ended by NUL; empty: no child has it.
func CommandOf(address net.Addr) string {
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		return ""
	}
	for _, list := range lists {
		pids, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended since
		}
		for _, field := range strings.Fields(string(pids)) {
			if pid, err := strconv.Atoi(field); err == nil && owns(pid, address) {
				command, _ := os.ReadFile("/proc/" + field + "/cmdline")
				return string(command)
			}
		}
	}
	return ""
}

// owns reports whether a process has the near end of a TCP connection over IPv4 whose address that is.
func owns(pid int, address net.Addr) bool {
	inode := inodeOf(address)
	if inode == "" {
		return false
	}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && to == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}

// inodeOf finds the socket in the kernel's table, of which a line is: number, local address, remote address, state, queues, timer,
// retransmissions, user, timeout, inode (proc_pid_net(5)).
func inodeOf(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	if !ok || tcp.IP.To4() == nil {
		return ""
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return ""
	}
	local := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(tcp.IP.To4()), tcp.Port)
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 9 && fields[1] == local {
			return fields[9]
		}
	}
	return ""
}
