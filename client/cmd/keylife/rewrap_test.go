// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile/faulty"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// messages fills a folder with n messages of version 1, of all forms, and makes version 2.
func messages(t *testing.T, k *kit, n int) string {
	t.Helper()
	folder := t.TempDir()
	for i := range n {
		text := fmt.Sprintf("plaintext %d", i)
		name := fmt.Sprintf("%04d", i)
		switch i % 3 {
		case 0:
			message, err := k.Encrypt(t.Context(), []byte(text), nil)
			require.NoError(t, err)
			file(t, folder, name, string(message))
		case 1:
			file(t, folder, name, k.ok(text, "encrypt", "-key", "orders"))
		default:
			file(t, folder, name, k.ok(text, "encrypt", "-key", "orders", "-text"))
		}
	}
	k.newest = 2
	return folder
}

// allOpen requires that each message is whole, and returns how many there are of each version.
func allOpen(t *testing.T, k *kit, folder string) map[int]int {
	t.Helper()
	versions := map[int]int{}
	for _, name := range names(t, folder) {
		if strings.HasPrefix(name, ".") { // what a crash left
			continue
		}
		f := found{path: filepath.Join(folder, name)}
		f.read()
		require.NoError(t, f.err)
		versions[f.version]++
		var n int
		_, err := fmt.Sscanf(name, "%04d", &n)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("plaintext %d", n), k.ok("", "decrypt", "-key", "orders", f.path))
	}
	return versions
}

func TestAFolderIsPutUnderTheNewestVersionInBatches(t *testing.T) {
	k := newKit(t)
	folder := messages(t, k, 600)
	r := k.run("", "rewrap", "-key", "orders", folder)
	require.Equal(t, exitOK, r.code, r.stderr)
	require.Equal(t, "600 rewrapped, 0 under the newest version already, 0 passed over, 0 failed; newest version of orders: 2\n", r.stderr)
	require.Equal(t, []int{1, 256, 256, 87}, k.batches)
	require.Equal(t, map[int]int{2: 600}, allOpen(t, k, folder))
	require.Len(t, names(t, folder), 600)

	k.batches = nil
	r = k.run("", "rewrap", "-key", "orders", folder)
	require.Equal(t, exitOK, r.code)
	require.Equal(t, "0 rewrapped, 600 under the newest version already, 0 passed over, 0 failed; newest version of orders: 2\n", r.stderr)
	require.Equal(t, []int{1}, k.batches)
}

func TestARewrapKeepsTheModeAndShowsThatSomethingChanged(t *testing.T) {
	k := newKit(t)
	folder := messages(t, k, 3)
	long := time.Unix(1_000_000_000, 0)
	for _, name := range names(t, folder) {
		require.NoError(t, os.Chmod(filepath.Join(folder, name), 0o644))
		require.NoError(t, os.Chtimes(filepath.Join(folder, name), long, long))
	}
	k.ok("", "rewrap", "-key", "orders", folder)
	for _, name := range names(t, folder) {
		info, err := os.Stat(filepath.Join(folder, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o644), info.Mode())
		require.True(t, info.ModTime().After(long))
	}
	require.True(t, strings.HasSuffix(read(t, filepath.Join(folder, "0002")), "\n"), "the line break behind a text form")
}

func TestWhatIsNotTheKeysIsPassedOverAndCounted(t *testing.T) {
	k := newKit(t)
	folder := folderOf(t, k)
	other := read(t, folder+"/g")
	r := k.run("", "rewrap", "-v", "-key", "orders", folder)
	require.Equal(t, exitOK, r.code)
	require.Contains(t, r.stderr, "2 rewrapped, 1 under the newest version already, 4 passed over, 0 failed")
	for _, said := range []string{"/d: passed over: no message", "/f: passed over: a link: not followed", "/g: passed over: of key cards1"} {
		require.Contains(t, r.stderr, said)
	}
	require.Equal(t, other, read(t, folder+"/g"))
	info, err := os.Lstat(folder + "/f")
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)

	r = k.run("", "rewrap", "-key", "orders", folder+"/d", folder+"/none", folder+"/a")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "/d: no message\n")
	require.Contains(t, r.stderr, "1 under the newest version already, 0 passed over, 2 failed")
}

func TestADryRunChangesNothing(t *testing.T) {
	k := newKit(t)
	folder := messages(t, k, 300)
	r := k.run("", "rewrap", "-dry-run", "-key", "orders", folder)
	require.Equal(t, exitOK, r.code)
	require.Equal(t, "300 to rewrap, 0 under the newest version already, 0 passed over, 0 failed; newest version of orders: 2\n", r.stderr)
	require.Equal(t, []int{1}, k.batches)
	require.Equal(t, map[int]int{1: 300}, allOpen(t, k, folder))
}

func TestOneThatIsRefusedDoesNotHinderTheOthers(t *testing.T) {
	k := newKit(t)
	folder := messages(t, k, 9)
	f := found{path: folder + "/0003"}
	f.read()
	m, err := kle1.Parse(f.stub())
	require.NoError(t, err)
	k.refuse[idOf(m.EDK)] = &client.KeyStateError{Key: "orders", Version: 1, State: "archived", Reason: "version 1 is archived"}
	r := k.run("", "rewrap", "-key", "orders", folder)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "/0003: key \"orders\", version 1: version 1 is archived\n")
	require.Contains(t, r.stderr, "8 rewrapped, 0 under the newest version already, 0 passed over, 1 failed")
	require.Equal(t, map[int]int{1: 1, 2: 8}, allOpen(t, k, folder))
}

func TestAnOutageBreaksTheRunOffAndTheNextGoesOn(t *testing.T) {
	k := newKit(t)
	folder := messages(t, k, 600)
	k.meet = func() {
		if len(k.batches) == 3 {
			k.outage = fmt.Errorf("rewrap: %w", client.ErrUnavailable)
		}
	}
	r := k.run("", "rewrap", "-key", "orders", folder)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "broken off: 257 rewrapped")
	require.Contains(t, r.stderr, "keylife: rewrap: vault is unavailable\n")
	k.meet, k.outage, k.batches = nil, nil, nil
	require.Equal(t, map[int]int{1: 343, 2: 257}, allOpen(t, k, folder))
	k.ok("", "rewrap", "-key", "orders", folder)
	require.Equal(t, []int{1, 256, 87}, k.batches)
	require.Equal(t, map[int]int{2: 600}, allOpen(t, k, folder))
}

// meddling lets somebody else write when a file is begun to be replaced.
type meddling struct {
	atomicfile.OS
	meet func()
}

func (m meddling) Create(folder, pattern string) (atomicfile.Handle, error) {
	m.meet()
	return m.OS.Create(folder, pattern)
}

func TestAFileThatChangesMeanwhileIsLeftAsItIs(t *testing.T) {
	for _, path := range []string{"0000", "0001", "0002"} { // the three forms
		for _, later := range []string{"no message", "cut", "another stream", "another text"} {
			for _, when := range []string{"while the engine is asked", "while it is copied", "by a rename"} {
				t.Run(path+" "+later+" "+when, func(t *testing.T) {
					k := newKit(t)
					folder := messages(t, k, 3)
					before := read(t, filepath.Join(folder, path))
					next := map[string]string{
						"no message": "something else", "cut": before[:50],
						"another stream": k.ok("a new value", "encrypt", "-key", "orders"),
						"another text":   k.ok("a new value", "encrypt", "-key", "orders", "-text"),
					}[later]
					write := func() { file(t, folder, path, next) }
					switch when {
					case "while the engine is asked":
						k.meet = write
					case "while it is copied":
						k.fs = meddling{meet: write}
					default:
						k.fs = meddling{meet: func() { require.NoError(t, os.Rename(file(t, t.TempDir(), "x", next), filepath.Join(folder, path))) }}
					}
					r := k.run("", "rewrap", "-key", "orders", filepath.Join(folder, path))
					require.Equal(t, exitFailed, r.code)
					require.Contains(t, r.stderr, "changed while it was put under the newest version")
					require.Equal(t, next, read(t, filepath.Join(folder, path)))
					require.Len(t, names(t, folder), 3)
				})
			}
		}
	}
}

func TestAnInterruptBreaksTheRunOff(t *testing.T) {
	k := newKit(t)
	folder := messages(t, k, 20)
	ctx, interrupt := context.WithCancel(k.ctx)
	k.ctx = ctx
	k.meet = func() {
		if len(k.batches) == 2 {
			interrupt()
		}
	}
	r := k.run("", "rewrap", "-key", "orders", folder)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "broken off: 1 rewrapped")
	k.ctx = t.Context()
	require.Equal(t, map[int]int{1: 19, 2: 1}, allOpen(t, k, folder))
}

// Killed at any step, and each step with and without its effect: every file opens, and the next run does the rest.
func TestACrashAtAnyStepLeavesEveryFileWhole(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for at := 1; ; at++ {
			k := newKit(t)
			folder := messages(t, k, 3)
			crashing := faulty.New(at, applied)
			k.fs = crashing
			r := k.run("", "rewrap", "-key", "orders", folder)
			k.fs = newKit(t).fs
			allOpen(t, k, folder)
			if !crashing.Crashed() {
				require.Equal(t, exitOK, r.code)
				require.Greater(t, at, 15)
				break
			}
			if r.code == exitOK { // at the last step nothing is left to fail
				require.True(t, applied)
			}
			k.ok("", "rewrap", "-key", "orders", folder)
			require.Equal(t, map[int]int{2: 3}, allOpen(t, k, folder), "crash at call %d", at)
		}
	}
}

func TestProgressIsALineEverySoOften(t *testing.T) {
	k := newKit(t)
	k.tick = time.Second
	folder := messages(t, k, 30)
	r := k.run("", "rewrap", "-key", "orders", folder)
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	require.Greater(t, len(lines), 3)
	require.Less(t, len(lines), 10)
	require.NotContains(t, r.stderr, "\r")
	require.Contains(t, lines[0], "passed over")
}
