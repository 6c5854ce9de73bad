// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/apps/worker"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// TestMain makes the test binary an application where it is started as one.
func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv("KEYLIFE_WORKER"); ok {
		fmt.Fprintln(os.Stderr, worker.Run())
		os.Exit(1)
	}
	status := m.Run()
	shared.close()
	os.Exit(status)
}

// sharedServer is the one that no test takes away. It listens to certificates of authority too.
type sharedServer struct {
	once      sync.Once
	dir       string
	server    *harness.Server
	authority *authority
	err       error
}

var shared sharedServer

// server starts the shared server when it is first asked for.
func server(t testing.TB) *harness.Server {
	t.Helper()
	shared.once.Do(shared.start)
	require.NoError(t, shared.err)
	return shared.server
}

func (s *sharedServer) start() {
	if s.dir, s.err = os.MkdirTemp("", "keylife-apps"); s.err != nil {
		return
	}
	if s.authority, s.err = newAuthority(s.dir); s.err != nil {
		return
	}
	options := harness.Standard()
	if options.TLS, s.err = s.authority.listener(); s.err != nil {
		return
	}
	s.server, s.err = harness.Launch(s.dir, options)
}

func (s *sharedServer) close() {
	if s.server != nil {
		s.server.Close()
	}
	_ = os.RemoveAll(s.dir) // "" where it was not started: nothing
}
