// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Fixture is a token of a test's own, in a library in C. One test of a process has one at a time.
type Fixture struct {
	Library  string // path of the library
	Reserved string // what it is initialised with
	Label    string // of the token
	PIN      string
	Store    string // the folder that the token is kept in; it is made anew where it is missing

	Environment []string // what another process needs to find the token, as NAME=value

	NoGCM bool              // the token knows no AES-GCM
	OAEP  cryptoki.HashType // the hash of OAEP that the token knows
}

// SoftHSM makes a token of SoftHSM. It is found by the environment of this process, and of those that this one starts:
// SoftHSM reads SOFTHSM2_CONF with each C_Initialize, and where cgo is, os.Setenv reaches the environment of C.
func SoftHSM(t testing.TB) Fixture {
	t.Helper()
	return softHSM(t, "").here(t)
}

// SoftHSMElsewhere makes a token of SoftHSM for other processes, those that are given the environment of the fixture. A process has one
// environment, and tests that run in parallel must not change it.
func SoftHSMElsewhere(t testing.TB) Fixture {
	t.Helper()
	return softHSM(t, "")
}

// SoftHSMWithoutGCM makes a token of SoftHSM that knows no AES-GCM.
func SoftHSMWithoutGCM(t testing.TB) Fixture {
	t.Helper()
	// SoftHSM drops the first word after the minus.
	fixture := softHSM(t, "slots.mechanisms = -,CKM_AES_GCM\n").here(t)
	fixture.NoGCM = true
	return fixture
}

func softHSM(t testing.TB, settings string) Fixture {
	t.Helper()
	fixture := Fixture{
		Library: library(t, "softhsm2", "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib*/pkcs11/libsofthsm2.so"),
		Label:   "keylife-test", PIN: "5678-user", Store: filepath.Join(t.TempDir(), "tokens"), OAEP: cryptoki.SHA1,
	}
	require.NoError(t, os.Mkdir(fixture.Store, 0o700))
	conf := filepath.Join(t.TempDir(), "softhsm2.conf")
	settings += "directories.tokendir = " + fixture.Store + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
	require.NoError(t, os.WriteFile(conf, []byte(settings), 0o600))
	fixture.Environment = []string{"SOFTHSM2_CONF=" + conf}
	fixture.initialise(t)
	return fixture
}

// here makes this process find the token.
func (f Fixture) here(t testing.TB) Fixture {
	t.Helper()
	for _, variable := range f.Environment {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	return f
}

// initialise makes the token with SoftHSM's own tool.
func (f Fixture) initialise(t testing.TB) {
	t.Helper()
	tool, err := exec.LookPath("softhsm2-util")
	require.NoError(t, err, "SoftHSM is missing: apt-get install softhsm2, which scripts/deps.sh does")
	cmd := exec.CommandContext(t.Context(), tool, "--init-token", "--free", "--label", f.Label, "--so-pin", "1234-officer", "--pin", f.PIN) //nolint:gosec // a test's own words
	cmd.Env = append(os.Environ(), f.Environment...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TakeAway makes the token vanish, as a disk or an HSM does, until GiveBack.
func (f Fixture) TakeAway(t testing.TB) {
	t.Helper()
	require.NoError(t, os.Rename(f.Store, f.Store+".away"))
	require.NoError(t, os.Mkdir(f.Store, 0o700))
}

// GiveBack undoes TakeAway.
func (f Fixture) GiveBack(t testing.TB) {
	t.Helper()
	require.NoError(t, os.RemoveAll(f.Store))
	require.NoError(t, os.Rename(f.Store+".away", f.Store))
}

// library returns the first file that matches a pattern. The test fails, and says which package to install, where there is
// none: a token that is not tested must be seen.
func library(t testing.TB, debian string, patterns ...string) string {
	t.Helper()
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		if len(found) > 0 {
			return found[0]
		}
	}
	require.FailNow(t, "a PKCS#11 library is missing: apt-get install "+debian+", which scripts/deps.sh does", "looked for %v", patterns)
	return ""
}
