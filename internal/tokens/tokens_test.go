// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package tokens_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// host is a process with one library, that of a device.
func host(t *testing.T, vars map[string]string) (h *tokens.Host, badLogins func() int) {
	t.Helper()
	vars[tokens.LibrariesEnv] = "fake=/usr/lib/fake.so"
	made, err := tokens.FromEnvironment(environment(vars))
	require.NoError(t, err)
	h = made
	device := faketoken.NewDevice(faketoken.Config{Label: "prod", Serial: "1", PIN: "s3cr3t"})
	var all []*faketoken.Library
	h.Open = func(tokens.Library) (cryptoki.Library, error) {
		all = append(all, faketoken.NewLibrary(device))
		return all[len(all)-1], nil
	}
	return h, func() (n int) {
		for _, l := range all {
			n += l.BadLogins()
		}
		return n
	}
}

func TestTheOperatorNamesTheLibraries(t *testing.T) {
	h, err := tokens.FromEnvironment(environment(map[string]string{
		tokens.LibrariesEnv: "soft=/usr/lib/softhsm2.so, cloud-hsm=/opt/c.so", "KEYLIFE_PKCS11_RESERVED_CLOUD_HSM": "configdir=/x", tokens.PINDirEnv: "/etc/pins",
	}))
	require.NoError(t, err)
	require.Equal(t, map[string]tokens.Library{"soft": {Path: "/usr/lib/softhsm2.so"}, "cloud-hsm": {Path: "/opt/c.so", Reserved: "configdir=/x"}}, h.Libraries)
	require.Equal(t, []string{"cloud-hsm", "soft"}, h.Aliases())
	require.Equal(t, "/etc/pins", h.PINDir)
}

func TestWhatIsWrongWithTheEnvironmentIsSaidAndLeftOut(t *testing.T) {
	for _, wrong := range []string{"soft", "=/lib/a.so", "A=/lib/a.so", "a b=/lib/a.so", "soft=lib.so", "good=/lib/b.so"} {
		h, err := tokens.FromEnvironment(environment(map[string]string{tokens.LibrariesEnv: "good=/lib/good.so," + wrong, tokens.PINDirEnv: "pins"}))
		require.ErrorContains(t, err, wrong)
		require.ErrorContains(t, err, tokens.PINDirEnv)
		require.Equal(t, map[string]tokens.Library{"good": {Path: "/lib/good.so"}}, h.Libraries)
		require.Empty(t, h.PINDir)
	}
}

func TestAPINComesFromWhereTheOperatorPutsIt(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prod"), []byte("s3cr3t\n"), 0o600))
	for _, s := range []tokens.Settings{{PIN: "s3cr3t"}, {PINEnv: "KEYLIFE_HSM_PIN_PROD"}, {PINFile: "prod"}} {
		h, badLogins := host(t, map[string]string{"KEYLIFE_HSM_PIN_PROD": "s3cr3t", tokens.PINDirEnv: dir})
		s.Library, s.Label = "fake", "prod"
		used := h.Use(s, false)
		require.NoError(t, used.Check(t.Context()))
		require.NoError(t, used.Close())
		require.Zero(t, badLogins())
	}
}

func TestAPINComesFromNowhereElse(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "pins")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "shadow"), []byte("root"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(outside, "shadow"), filepath.Join(dir, "link")))
	h, _ := host(t, map[string]string{"PATH": "/bin", tokens.PINDirEnv: dir})
	for _, s := range []tokens.Settings{
		{PINEnv: "PATH"},
		{PINEnv: "KEYLIFE_HSM_PIN_UNSET"},
		{PINFile: "../shadow"},
		{PINFile: filepath.Join(outside, "shadow")},
		{PINFile: "link"},
		{PINFile: "none"},
		{PIN: "a", PINEnv: "KEYLIFE_HSM_PIN"},
	} {
		s.Library, s.Label = "fake", "prod"
		err := h.Use(s, false).Check(t.Context())
		require.ErrorIs(t, err, hsm.ErrMisconfigured)
		require.NotContains(t, err.Error(), "root")
	}
	h.PINDir = ""
	require.ErrorContains(t, h.Use(tokens.Settings{Library: "fake", Label: "prod", PINFile: "prod"}, false).Check(t.Context()), tokens.PINDirEnv)
}

func TestALibraryWithoutANameIsNotUsed(t *testing.T) {
	h, _ := host(t, map[string]string{})
	for _, name := range []string{"", "other", "/usr/lib/fake.so"} {
		require.ErrorIs(t, h.Use(tokens.Settings{Library: name, Label: "prod"}, false).Check(t.Context()), hsm.ErrMisconfigured)
	}
}

func TestAPINThatWasRejectedBeforeIsNotTriedAgain(t *testing.T) {
	h, badLogins := host(t, map[string]string{})
	s := tokens.Settings{Library: "fake", Label: "prod", PIN: "wrong"}
	first := h.Use(s, false)
	require.ErrorIs(t, first.Check(t.Context()), hsm.ErrPINRejected)
	require.NoError(t, first.Close())
	s.PINRejected = s.PINRejected.AddDate(1, 0, 0)
	second := h.Use(s, false)
	require.ErrorIs(t, second.Check(t.Context()), hsm.ErrPINRejected)
	require.NoError(t, second.Close())
	require.Equal(t, 1, badLogins())
}

func TestAPINIsNeverPrinted(t *testing.T) {
	s := tokens.Settings{PIN: "s3cr3t"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{s, &s, s.PIN} {
			text := fmt.Sprintf(verb, value)
			require.NotContains(t, text, "s3cr3t", verb)
			require.NotContains(t, text, "733363723374", verb)
		}
	}
}

func TestAUseThatIsOverReachesNothing(t *testing.T) {
	h, _ := host(t, map[string]string{})
	used := h.Use(tokens.Settings{Library: "fake", Label: "prod", PIN: "s3cr3t"}, false)
	require.NoError(t, used.Check(t.Context()))
	require.NoError(t, used.Close())
	_, err := used.Mechanisms(t.Context())
	require.ErrorIs(t, err, hsm.ErrUnavailable)
	require.ErrorIs(t, used.Run(t.Context(), nil), hsm.ErrUnavailable)
	require.ErrorIs(t, used.RunOnce(t.Context(), nil), hsm.ErrUnavailable)
}

// still is a clock whose time a test moves on by itself.
type still struct {
	mu    sync.Mutex
	late  []func()
	after []time.Duration
}

func (*still) Now() time.Time { return time.Unix(0, 0) }

func (c *still) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late, c.after = append(c.late, f), append(c.after, d)
	return func() bool { return true }
}

// pass calls what is due after so long.
func (c *still) pass(d time.Duration) {
	c.mu.Lock()
	var due []func()
	for i, f := range c.late {
		if c.after[i] == d {
			due = append(due, f)
		}
	}
	c.mu.Unlock()
	for _, f := range due {
		f()
	}
}

func TestTheHostEndsTheProcessWhereAllHangs(t *testing.T) {
	h, _ := host(t, map[string]string{})
	clock := &still{}
	h.Registry = token.NewRegistry(clock, func() float64 { return 0 })
	exits := make(chan error, 9)
	h.Exit = func(why error) { exits <- why }
	device := faketoken.NewDevice(faketoken.Config{Label: "prod", Serial: "1", PIN: "s3cr3t"})
	library := faketoken.NewLibrary(device)
	h.Open = func(tokens.Library) (cryptoki.Library, error) { return library, nil }
	used := h.Use(tokens.Settings{Library: "fake", Label: "prod", PIN: "s3cr3t", MaxSessions: 1, CallTimeout: time.Second}, false)
	require.NoError(t, used.Check(t.Context()))
	hold := library.Hang(faketoken.GenerateRandom, 1)
	checked := make(chan error, 1)
	go func() { checked <- used.Check(t.Context()) }()
	<-hold.Entered
	clock.pass(time.Second)
	require.ErrorIs(t, <-checked, hsm.ErrUnavailable)
	clock.pass(time.Minute)
	require.ErrorContains(t, <-exits, "hang")
	hold.Release()
	require.NoError(t, used.Close())
}
