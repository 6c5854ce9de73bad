// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// shared is the server of the tests that leave it as they found it. Those that seal, kill or age one start their own.
var shared struct {
	sync.Once
	server *harness.Server
	err    error
}

// parallel is how many tests run at once. They wait for Vault's clock more than they compute, so the number of
// processors, which go test would take, says nothing.
const parallel = 12

func TestMain(m *testing.M) {
	listIfAsked()
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(parallel)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "keylife-acceptance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sharedDir = dir
	code := m.Run()
	if shared.server != nil {
		shared.server.Close()
	}
	_ = os.RemoveAll(dir) // a directory left behind spoils no result
	os.Exit(code)
}

// namedLibrary is what the operator of the shared server, whose plugin speaks no PKCS#11, calls a library.
const namedLibrary = "vendor"

// sharedDir holds the shared server's files; it outlives every single test.
var sharedDir string

// server returns the shared server, started by the first test that asks. A failing test shows the end of its log.
func server(t testing.TB) *harness.Server {
	t.Helper()
	shared.Do(func() {
		options := harness.Standard()
		options.Env = []string{"KEYLIFE_PKCS11_LIBS=" + namedLibrary + "=/usr/lib/pkcs11.so"}
		shared.server, shared.err = harness.Launch(sharedDir, options)
	})
	if shared.server != nil {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("end of the Vault log:\n%s", shared.server.LogTail())
			}
		})
	}
	require.NoError(t, shared.err)
	return shared.server
}

var mounts struct {
	sync.Mutex
	n int
}

// freshMount enables an engine of the given type at a path nobody used before, for one test.
func freshMount(t testing.TB, s *harness.Server, kind string) string {
	t.Helper()
	mounts.Lock()
	mounts.n++
	path := fmt.Sprintf("%s-%d", kind, mounts.n)
	mounts.Unlock()
	s.Mount(t, path, kind)
	t.Cleanup(func() { s.Unmount(t, path) })
	return path
}

// freshPair enables both engines for one test.
func freshPair(t testing.TB, s *harness.Server) (transit, keylife string) {
	t.Helper()
	return freshMount(t, s, "transit"), freshMount(t, s, harness.PluginName)
}
