// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package upgrade_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	older, newer = "v1.0.0", "v1.1.0"
	source       = "../.." // of the module
	reloads      = 4       // of each kind
	clients      = 6
	evidence     = 60 // requests answered between two reloads
)

// TestAPluginIsUpgradedInPlaceAndNoRequestFails replaces the plugin under load: by itself, which is what a reload of Vault costs
// whatever the plugin is, by the next version, and by the one before. Vault has requests wait while it does so; none may fail.
func TestAPluginIsUpgradedInPlaceAndNoRequestFails(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{})
	for _, version := range []string{older, newer} {
		s.RegisterVersion(t, harness.BuildVersion(t, source, version), version)
	}
	s.Must(t, http.MethodPost, "sys/mounts/"+mount, body{"type": harness.PluginName, "config": body{"plugin_version": older}})
	l := startLoad(t, s)
	same := l.during(func() { s.ReloadMount(t, mount) })
	upgraded := l.during(func() {
		next := map[string]string{older: newer, newer: older}[s.RunningVersion(t, mount)]
		s.TuneVersion(t, mount, next)
		s.ReloadMount(t, mount)
		require.Equal(t, next, s.RunningVersion(t, mount))
	})
	l.stop()
	t.Logf("reloads: %v; upgrades and downgrades: %v", same, upgraded)
	require.Empty(t, same.failed)
	require.Empty(t, upgraded.failed)
	l.verify(t)
}

// load is clients that encrypt, decrypt and rotate, and what they were answered.
type load struct {
	t      *testing.T
	server *harness.Server
	quit   chan struct{}
	once   sync.Once
	wait   sync.WaitGroup

	mu      sync.Mutex
	texts   map[string]string // by ciphertext
	rotated []int             // versions that were answered
	seen    outcome
}

// outcome is what became of requests.
type outcome struct {
	answered int
	failed   []string
	longest  time.Duration
}

func (o outcome) String() string {
	return fmt.Sprintf("%d answered, %d failed, the longest took %s", o.answered, len(o.failed), o.longest.Round(time.Millisecond))
}

func startLoad(t *testing.T, s *harness.Server) *load {
	l := &load{t: t, server: s, quit: make(chan struct{}), texts: map[string]string{}}
	s.Must(t, http.MethodPost, mount+"/keys/k", nil)
	for i := range clients {
		l.run(func(n int) { l.roundTrip(fmt.Sprintf("client %d, text %d", i, n)) })
	}
	l.run(func(int) { l.rotate() })
	t.Cleanup(l.stop)
	return l
}

func (l *load) run(request func(n int)) {
	l.wait.Go(func() {
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for n := 0; ; n++ {
			select {
			case <-l.quit:
				return
			case <-pace.C:
				request(n)
			}
		}
	})
}

func (l *load) stop() {
	l.once.Do(func() { close(l.quit) })
	l.wait.Wait()
}

// send is a request that has to be answered with 200, also while the plugin is replaced.
func (l *load) send(path string, with body) (data map[string]any, ok bool) {
	begun := time.Now()
	r, err := l.server.Send(harness.Request{Method: http.MethodPost, Path: mount + "/" + path, Body: with})
	ok = err == nil && r.Status == http.StatusOK
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen.longest = max(l.seen.longest, time.Since(begun))
	if !ok {
		l.seen.failed = append(l.seen.failed, fmt.Sprintf("%s: %d %v %v", path, r.Status, r.Body, err))
		return nil, false
	}
	l.seen.answered++
	return r.Data(), true
}

func (l *load) roundTrip(text string) {
	data, ok := l.send("encrypt/k", body{"plaintext": b64(text)})
	if !ok {
		return
	}
	ciphertext, _ := data["ciphertext"].(string)
	l.mu.Lock()
	l.texts[ciphertext] = b64(text)
	l.mu.Unlock()
	l.send("decrypt/k", body{"ciphertext": ciphertext})
}

func (l *load) rotate() {
	if data, ok := l.send("keys/k/rotate", nil); ok {
		l.mu.Lock()
		l.rotated = append(l.rotated, number(data["latest_version"]))
		l.mu.Unlock()
	}
}

// during replaces the plugin some times, with requests answered before, between and after, and returns what became of all of them.
func (l *load) during(replace func()) outcome {
	l.mu.Lock()
	l.seen = outcome{}
	l.mu.Unlock()
	for range reloads {
		l.grow()
		replace()
	}
	l.grow()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

// grow waits until more requests were answered.
func (l *load) grow() {
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.seen.answered
	}
	before := count()
	harness.Eventually(l.t, time.Minute, func() error {
		if n := count(); n < before+evidence {
			return fmt.Errorf("%d requests answered", n-before)
		}
		return nil
	})
}

// verify holds what was answered against what is there.
func (l *load) verify(t *testing.T) {
	t.Helper()
	require.True(t, slices.IsSorted(l.rotated), "%v", l.rotated)
	require.Len(t, slices.Compact(slices.Clone(l.rotated)), len(l.rotated), "a number twice")
	require.Equal(t, l.rotated[len(l.rotated)-1], number(l.server.Must(t, http.MethodGet, mount+"/keys/k", nil)["latest_version"]))
	for ciphertext, text := range l.texts {
		require.Equal(t, text, l.server.Must(t, http.MethodPost, mount+"/decrypt/k", body{"ciphertext": ciphertext})["plaintext"])
	}
	require.Equal(t, true, l.server.Must(t, http.MethodPost, mount+"/custody/verify", nil)["valid"])
}
