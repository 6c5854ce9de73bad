// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package hsm_test holds what a mount with an HSM does, on a token in memory.
package hsm_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

const pin = "correct horse"

// bubbleClock is the time of the bubble that a test runs in.
type bubbleClock struct{}

func (bubbleClock) Now() time.Time { return time.Now() }

func (bubbleClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// world is a process with mounts, and a token that it reaches.
type world struct {
	*mounttest.Mount
	device  *faketoken.Device
	library *faketoken.Library // of this process
	mounts  []*mounttest.Mount
	past    []*faketoken.Library
	arm     func(l *faketoken.Library) // of each library that is loaded
}

// run runs a test on a mount whose token is not configured yet.
func run(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	runWith(t, faketoken.Config{}, test)
}

func runWith(t *testing.T, c faketoken.Config, test func(t *testing.T, w *world)) {
	t.Helper()
	c.Label, c.Serial, c.PIN = "prod", "0001", pin
	synctest.Test(t, func(t *testing.T) {
		w := &world{device: faketoken.NewDevice(c)}
		host := w.process()
		w.Mount = w.mount(t, host)
		test(t, w)
		w.end()
		for _, l := range append(w.past, w.library) {
			if l != nil {
				require.Empty(t, l.Misuse())
			}
		}
	})
}

// process is a new process.
func (w *world) process() *tokens.Host {
	return &tokens.Host{
		Registry:  token.NewRegistry(bubbleClock{}, func() float64 { return 0 }),
		Libraries: map[string]tokens.Library{"fake": {Path: "/usr/lib/fake.so"}},
		Getenv:    func(string) string { return "" },
		Open: func(tokens.Library) (cryptoki.Library, error) {
			if w.library != nil {
				w.past = append(w.past, w.library)
			}
			w.library = faketoken.NewLibrary(w.device)
			if w.arm != nil {
				w.arm(w.library)
			}
			return w.library, nil
		},
	}
}

// mount makes one more mount in a process.
func (w *world) mount(t testing.TB, host *tokens.Host) *mounttest.Mount {
	t.Helper()
	m := mounttest.New(t)
	m.Options.Tokens = host
	m.Restart()
	w.mounts = append(w.mounts, m)
	return m
}

// end ends the process.
func (w *world) end() {
	for _, m := range w.mounts {
		m.Cleanup(context.Background())
	}
}

// respawn ends the process and begins another with the same mounts.
func (w *world) respawn() {
	w.end()
	host := w.process()
	for _, m := range w.mounts {
		m.Options.Tokens = host
		m.Restart()
	}
}

// hours lets so many go by: with a tick now and then, and in the last quarter of an hour one a minute, as Vault has it.
func (w *world) hours(n int) {
	w.T.Helper()
	w.Leap(time.Duration(n)*time.Hour - 15*time.Minute)
	w.Advance(15 * time.Minute)
}

// settings are those of the token.
func settings(kv ...any) []any {
	return append([]any{"library", "fake", "token_label", "prod", "pin", pin}, kv...)
}

// configure configures the token of the mount.
func (w *world) configure(kv ...any) map[string]any {
	w.T.Helper()
	return w.Must(w.Write("config/hsm", settings(kv...)...)).Data
}

func (w *world) status() map[string]any {
	w.T.Helper()
	return w.Must(w.Read("hsm/status")).Data
}

// active returns the id of the key that wraps for a purpose.
func (w *world) active(purpose string) string {
	w.T.Helper()
	id, _ := w.status()["active"].(map[string]any)[purpose].(string)
	return id
}

// stored is what is stored of the token.
func (w *world) stored() keyring.HSM {
	w.T.Helper()
	h, err := w.Storage.Store().Tokens().HSM(context.Background())
	require.NoError(w.T, err)
	return h
}

// kekOf returns the key that wraps the sealed material of an entry.
func (w *world) kekOf(path string) [16]byte {
	w.T.Helper()
	sealed := w.Storage.Sealed(path)
	require.NotEmpty(w.T, sealed, path)
	n := int(sealed[4])<<8 | int(sealed[5]) // "KLW1" | wrapped_len u16 | wrapped
	id, err := hsm.KEKIDOf(sealed[6 : 6+n])
	require.NoError(w.T, err)
	return id
}

// onToken counts the keys on the token, but those that a self-test left which was cut short.
func (w *world) onToken() int {
	w.T.Helper()
	l := faketoken.NewLibrary(w.device)
	s, err := l.Open(0)
	require.NoError(w.T, err)
	require.NoError(w.T, s.Login([]byte(pin)))
	left, err := s.Find(cryptoki.Template{{Type: cryptoki.AttrLabel, Value: "keylife-self-test"}})
	require.NoError(w.T, err)
	require.NoError(w.T, l.Close())
	return w.device.Objects() - len(left)
}

// softwareKEKs are the keys that lie in storage.
func (w *world) softwareKEKs() map[[16]byte]bool {
	ids := map[[16]byte]bool{}
	for _, path := range []string{"config/kek", "config/archive-kek"} {
		var rec struct{ ID []byte }
		require.NoError(w.T, json.Unmarshal(w.Storage.All()[path], &rec))
		ids[[16]byte(rec.ID)] = true
	}
	return ids
}

// sealedBySoftware lists the entries whose material software can open.
func (w *world) sealedBySoftware() (paths []string) {
	w.T.Helper()
	software := w.softwareKEKs()
	for path := range w.Storage.All() {
		if (strings.HasPrefix(path, "versions/") || strings.HasPrefix(path, "archive/")) && len(w.Storage.Sealed(path)) > 0 && software[w.kekOf(path)] {
			paths = append(paths, path)
		}
	}
	return paths
}
