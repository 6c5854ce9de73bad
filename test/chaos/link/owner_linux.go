// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// CommandOf is the command line of the child of this process that has the far end of a TCP connection over IPv4, its arguments ended by
// NUL; empty: no child has it.
func CommandOf(c net.Conn) string {
	inode, err := farInode(c)
	if err != nil {
		return ""
	}
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		return ""
	}
	for _, list := range lists {
		pids, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended since
		}
		for _, pid := range strings.Fields(string(pids)) {
			if owns(pid, inode) {
				command, _ := os.ReadFile("/proc/" + pid + "/cmdline") // empty where it has ended since
				return string(command)
			}
		}
	}
	return ""
}

func owns(pid string, inode uint32) bool {
	files, err := filepath.Glob("/proc/" + pid + "/fd/*")
	if err != nil {
		return false
	}
	socket := fmt.Sprintf("socket:[%d]", inode)
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && to == socket {
			return true
		}
	}
	return false
}

// A request to sock_diag(7) for one socket, and the answer: a netlink header, of which type 20 is SOCK_DIAG_BY_FAMILY, then family,
// protocol, two bytes and the states that are asked for; then the socket: ports, addresses, interface, cookie. In the answer the inode
// follows the socket and four numbers.
const (
	header     = syscall.NLMSG_HDRLEN
	byFamily   = 20
	socketAt   = header + 8
	request    = socketAt + 48
	inodeAt    = header + 4 + 48 + 16
	anyState   = 0xffffffff
	familyDiag = 4 // NETLINK_SOCK_DIAG
)

// farInode asks the kernel for the socket at the far end of a connection on this machine. Its table in /proc takes a second to read
// where there are many connections.
func farInode(c net.Conn) (uint32, error) {
	near, ok1 := c.LocalAddr().(*net.TCPAddr)
	far, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 || near.IP.To4() == nil || far.IP.To4() == nil {
		return 0, errors.New("no connection over IPv4")
	}
	ask := make([]byte, request)
	binary.NativeEndian.PutUint32(ask, request)
	binary.NativeEndian.PutUint16(ask[4:], byFamily)
	binary.NativeEndian.PutUint16(ask[6:], syscall.NLM_F_REQUEST)
	ask[header], ask[header+1] = syscall.AF_INET, syscall.IPPROTO_TCP
	binary.NativeEndian.PutUint32(ask[header+4:], anyState)
	at := ask[socketAt:]
	binary.BigEndian.PutUint16(at, uint16(far.Port))
	binary.BigEndian.PutUint16(at[2:], uint16(near.Port))
	copy(at[4:], far.IP.To4())
	copy(at[20:], near.IP.To4())
	copy(at[40:], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // no cookie
	answer, err := diagnose(ask)
	if err != nil {
		return 0, err
	}
	if len(answer) < inodeAt+4 || binary.NativeEndian.Uint16(answer[4:]) != byFamily {
		return 0, errors.New("no such connection")
	}
	return binary.NativeEndian.Uint32(answer[inodeAt:]), nil
}

func diagnose(ask []byte) (answer []byte, err error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, familyDiag)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	if err := syscall.Sendto(fd, ask, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return nil, err
	}
	answer = make([]byte, 4096)
	n, _, err := syscall.Recvfrom(fd, answer, 0)
	if err != nil {
		return nil, err
	}
	return answer[:n], nil
}
