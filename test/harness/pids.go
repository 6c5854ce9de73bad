// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

// PIDs are the process of the server and those of its plugins.
func (s *Server) PIDs() (server int, plugins []int, err error) {
	plugins, err = children(s.process.pid)
	return s.process.pid, plugins, err
}
