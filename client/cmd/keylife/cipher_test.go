// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatIsEncryptedIsDecrypted(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 200_000) // more than three segments
	for name, c := range map[string]struct {
		plaintext string
		flags     []string
	}{
		"stream":              {large, nil},
		"nothing":             {"", nil},
		"text":                {"4111111111111111", []string{"-text"}},
		"text of nothing":     {"", []string{"-text"}},
		"with a context":      {large, []string{"-context", "table=cards", "-context", "row=a=b"}},
		"text with a context": {"x", []string{"-text", "-context", "row="}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			folder := t.TempDir()
			message := k.ok(c.plaintext, append([]string{"encrypt", "-key", "orders"}, c.flags...)...)
			flags := c.flags
			if len(flags) > 0 && flags[0] == "-text" {
				flags = flags[1:]
				require.Regexp(t, `^kle1\.[A-Za-z0-9_-]+\n$`, message)
			}
			decrypt := append([]string{"decrypt", "-key", "orders"}, flags...)
			require.Equal(t, c.plaintext, k.ok(message, decrypt...))
			in, out := file(t, folder, "message", message), filepath.Join(folder, "plain")
			require.Empty(t, k.ok("", append(decrypt, "-o", out, in)...))
			require.Equal(t, c.plaintext, read(t, out))
			info, err := os.Stat(out)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode())
			require.Equal(t, []string{"message", "plain"}, names(t, folder))
		})
	}
}

func TestAMessageInOnePieceIsDecryptedToo(t *testing.T) {
	k := newKit(t)
	message, err := k.Encrypt(t.Context(), []byte("\nx\n"), nil)
	require.NoError(t, err)
	require.Equal(t, "\nx\n", k.ok(string(message), "decrypt", "-key", "orders"))
	message = append(message, '\n')
	require.Equal(t, exitFailed, k.run(string(message), "decrypt", "-key", "orders").code)
}

func TestAFileIsEncryptedInItsPlaceAndKeepsItsMode(t *testing.T) {
	k := newKit(t)
	folder := t.TempDir()
	path := file(t, folder, "a", "plain")
	require.NoError(t, os.Chmod(path, 0o640))
	k.ok("", "encrypt", "-key", "orders", "-o", path, path)
	require.True(t, strings.HasPrefix(read(t, path), "KLE1"))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode())
	require.Equal(t, "plain", k.ok("", "decrypt", "-key", "orders", path))
}

// What the output was before, it is after each of these.
func TestAPartOfAPlaintextIsNeverUnderTheFinalName(t *testing.T) {
	k := newKit(t)
	message := k.ok(strings.Repeat("x", 3<<20), "encrypt", "-key", "orders", "-context", "a=b")
	flipped := []byte(message)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct{ message, context string }{
		"cut at a segment": {message[:2<<20], "a=b"},
		"cut inside":       {message[:len(message)-5], "a=b"},
		"end altered":      {string(flipped), "a=b"},
		"another context":  {message, "a=c"},
		"another key":      {strings.Replace(message, "vault:v1:", "vault:v1:A", 1), "a=b"},
		"no message":       {"something else", "a=b"},
		"nothing":          {"", "a=b"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			out := file(t, folder, "out", "before")
			r := k.run(c.message, "decrypt", "-key", "orders", "-context", c.context, "-o", out)
			require.Equal(t, exitFailed, r.code)
			require.Equal(t, "keylife: invalid message\n", r.stderr)
			require.Equal(t, "before", read(t, out))
			require.Equal(t, []string{"out"}, names(t, folder))
		})
	}
}

func TestAnInterruptLeavesNothing(t *testing.T) {
	k := newKit(t)
	folder := t.TempDir()
	in := file(t, folder, "in", "plain")
	ctx, interrupt := context.WithCancel(k.ctx)
	interrupt()
	k.ctx = ctx
	r := k.run("", "encrypt", "-key", "orders", "-o", folder+"/out", in)
	require.Equal(t, exitFailed, r.code)
	require.Equal(t, []string{"in"}, names(t, folder))
}

func TestOnlyRegularFilesAreReplaced(t *testing.T) {
	k := newKit(t)
	folder := t.TempDir()
	target := file(t, folder, "target", "before")
	link := filepath.Join(folder, "link")
	require.NoError(t, os.Symlink(target, link))
	pipe := filepath.Join(folder, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, out := range []string{link, folder, pipe} {
		r := k.run("x", "encrypt", "-key", "orders", "-o", out)
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.stderr, out+" is not a regular file, and is not replaced")
	}
	require.Equal(t, "before", read(t, target))
}

func TestWhatMakesNoSenseIsToldWithItsExitCode(t *testing.T) {
	for _, c := range []struct {
		args []string
		why  string
	}{
		{nil, "no command"},
		{[]string{"enrypt"}, `unknown command "enrypt"`},
		{[]string{"encrypt"}, "-key is required"},
		{[]string{"encrypt", "-key", "orders", "-kay", "x"}, "-kay"},
		{[]string{"encrypt", "-key", "orders", "a", "b"}, "one file at a time: got 2"},
		{[]string{"encrypt", "-key", "orders", "-context", "a"}, "want name=value"},
		{[]string{"encrypt", "-key", "orders", "-context", "=a"}, "want name=value"},
		{[]string{"encrypt", "-key", "orders", "-context", "a=1", "-context", "a=2"}, "a is given twice"},
		{[]string{"encrypt", "-key", "orders", "-role-id", "x"}, "go together"},
		{[]string{"rewrap", "-key", "orders"}, "no file or folder"},
		{[]string{"bench", "-key", "orders", "-time", "0s"}, "-time"},
		{[]string{"bench", "-key", "orders", "-size", "-1"}, "-size"},
		{[]string{"version", "x"}, "takes no file"},
	} {
		r := newKit(t).run("", c.args...)
		require.Equal(t, exitUsage, r.code, c.args)
		require.Contains(t, r.stderr, c.why)
		require.Empty(t, r.stdout)
	}
	r := newKit(t).run("", "encrypt", "-key", "orders", "/none")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "/none")
}

func TestHelpIsNoFailureAndTellsFlags(t *testing.T) {
	k := newKit(t)
	require.Contains(t, k.ok("", "help"), "VAULT_ADDR")
	for _, c := range commands {
		require.Contains(t, k.ok("", "help"), "keylife "+c.name)
		require.Contains(t, k.ok("", c.name, "-h"), c.about)
	}
	require.Contains(t, k.ok("", "encrypt", "-h"), "-secret-id-file")
	require.Contains(t, k.ok("", "version"), "KLE1")
}

// The clock of the kit gives each round of 200 ms the same number of calls, so that all rates are equal.
func TestBenchComparesInOneRun(t *testing.T) {
	k := newKit(t)
	k.tick = time.Millisecond
	out := k.ok("", "bench", "-key", "orders", "-time", "3s", "-size", "16")
	require.Regexp(t, `(?m)^encrypt here +1000 a second$`, out)
	require.Regexp(t, `(?m)^decrypt here +1000 a second$`, out)
	require.Regexp(t, `(?m)^encrypt in Vault +1000 a second$`, out)
	require.Regexp(t, `(?m)^ratio of encrypting +1\.0, with plaintexts of 16 bytes`, out)
	require.Equal(t, 1000, k.remote)
}
