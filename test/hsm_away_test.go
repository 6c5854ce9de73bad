// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	awayEvidence = 20                    // answers of a kind that are waited for
	usePace      = 30 * time.Millisecond // between two requests of a kind
	backOff      = 2 * time.Second
)

// The token is taken away under load, and given back, twice: the second time the plugin begins anew meanwhile. Three mounts are on it:
// one uses what it has in memory for an hour, one asks for each operation, and one asks every second and goes on with what it has
// while nobody answers.
func TestATokenThatGoesAwayUnderLoad(t *testing.T) {
	t.Parallel()
	s := withToken(t, hsmtest.SoftHSMElsewhere(t), false)
	s.Mount(t, "asking", harness.PluginName)
	s.Mount(t, "served", harness.PluginName)
	s.configure(t, "keylife", "cache_ttl", "1h")
	s.configure(t, "asking", "cache_ttl", "0s")
	s.configure(t, "served", "cache_ttl", "1s", "degraded_mode", "serve_cached", "degraded_max_age", "1h")
	u := startUses(t, s)
	defer u.stop()
	for _, c := range []*tally{&u.warm, &u.asking, &u.served, &u.needing} {
		harness.Eventually(t, backAfter, c.more(http.StatusOK, awayEvidence))
	}

	s.token.TakeAway(t)
	harness.Eventually(t, backAfter, u.needing.more(http.StatusServiceUnavailable, awayEvidence))
	harness.Eventually(t, backAfter, u.asking.more(http.StatusServiceUnavailable, awayEvidence))
	s.requireSoonAgain(t)
	never := u.asking.more(http.StatusOK, 1)
	harness.Eventually(t, backAfter, u.warm.more(http.StatusOK, awayEvidence))
	harness.Eventually(t, backAfter, u.served.more(http.StatusOK, awayEvidence))
	require.Error(t, never(), "an answer that the token was needed for")
	require.Zero(t, u.served.count(http.StatusServiceUnavailable), "reads from memory go on")
	u.givenBack(t)
	require.Equal(t, "healthy", s.status(t, "keylife")["state"])

	s.token.TakeAway(t)
	harness.Eventually(t, backAfter, u.needing.more(http.StatusServiceUnavailable, 1))
	u.dying.Store(true)
	require.Positive(t, s.KillPlugin(t))
	for _, mount := range []string{"keylife", "asking", "served"} {
		s.respawned(t, mount)
	}
	u.dying.Store(false)
	for _, c := range []*tally{&u.warm, &u.asking, &u.served} { // a new process has nothing in memory
		harness.Eventually(t, backAfter, c.more(http.StatusServiceUnavailable, awayEvidence))
	}
	s.Must(t, http.MethodGet, "keylife/keys/k", nil)
	u.givenBack(t)

	u.stop()
	require.Empty(t, u.wrong)
	require.Equal(t, u.rotated, latest(t, s.Server, "turned"), "a rotation that was answered 503 was none")
	s.requireTokenAsTold(t, "keylife", "asking", "served")
}

// requireSoonAgain demands that the token is tried again soon, however long it is away: without a limit, the pause would be longer after
// so many attempts.
func (s tokenServer) requireSoonAgain(t *testing.T) {
	t.Helper()
	const attempts = 9
	before := number(s.status(t, "keylife")["reinitializations"])
	harness.Eventually(t, backAfter, func() error {
		status := s.status(t, "keylife")
		if next, _ := status["next_attempt_time"].(string); next != "" {
			require.LessOrEqual(t, time.Until(moment(t, next)), backOff, "%v", status)
		}
		if n := number(status["reinitializations"]) - before; n < attempts {
			return fmt.Errorf("%d attempts", n)
		}
		return nil
	})
}

// tokenUses counts answers of requests, and holds them against what they may be: right, or 503.
type tokenUses struct {
	server  tokenServer
	over    atomic.Bool
	dying   atomic.Bool // the plugin is: Vault answers 500 to what it had under way
	workers sync.WaitGroup
	warm    tally // of what is in memory
	asking  tally // of what is unwrapped for each operation
	served  tally // of what is used from memory while the token is away
	needing tally // of rotations

	mu      sync.Mutex
	rotated int // version that the last rotation answered
	wrong   []string
}

// tally counts answers by status.
type tally struct {
	mu sync.Mutex
	of map[int]int
}

func (c *tally) add(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[int]int{}
	}
	c.of[status]++
}

func (c *tally) count(status int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[status]
}

// more tells whether so many more were counted since it was asked for.
func (c *tally) more(status, n int) func() error {
	before := c.count(status)
	return func() error {
		if now := c.count(status); now < before+n {
			return fmt.Errorf("%d answers of %d, %d before", now, status, before)
		}
		return nil
	}
}

func startUses(t *testing.T, s tokenServer) *tokenUses {
	t.Helper()
	s.Must(t, http.MethodPost, "keylife/keys/turned", nil)
	u := &tokenUses{server: s, rotated: 1}
	for mount, c := range map[string]*tally{"keylife": &u.warm, "asking": &u.asking, "served": &u.served} {
		s.Must(t, http.MethodPost, mount+"/keys/k", nil)
		open := harness.Request{Method: http.MethodPost, Path: mount + "/decrypt/k", Body: object("ciphertext", s.sealed(t, mount, "k"))}
		seal := harness.Request{Method: http.MethodPost, Path: mount + "/encrypt/k", Body: object("plaintext", hello)}
		u.repeat(func() { u.use(c, open); u.use(c, seal) })
	}
	rotate := harness.Request{Method: http.MethodPost, Path: "keylife/keys/turned/rotate"}
	u.repeat(func() {
		if reply := u.use(&u.needing, rotate); reply.Status == http.StatusOK {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.rotated = number(reply.Data()["latest_version"])
		}
	})
	return u
}

// givenBack gives the token back, and waits until all goes well again.
func (u *tokenUses) givenBack(t *testing.T) {
	t.Helper()
	again := []func() error{}
	for _, c := range []*tally{&u.warm, &u.asking, &u.served, &u.needing} {
		again = append(again, c.more(http.StatusOK, awayEvidence))
	}
	u.server.token.GiveBack(t)
	for _, well := range again {
		harness.Eventually(t, backAfter, well)
	}
}

func (u *tokenUses) repeat(work func()) {
	u.workers.Go(func() {
		pace := time.NewTicker(usePace)
		defer pace.Stop()
		for !u.over.Load() {
			work()
			<-pace.C
		}
	})
}

func (u *tokenUses) stop() {
	u.over.Store(true)
	u.workers.Wait()
}

// use sends a request and notes an answer that must not be.
func (u *tokenUses) use(c *tally, r harness.Request) harness.Reply {
	dying := u.dying.Load()
	reply, err := u.server.Send(r)
	dying = dying || u.dying.Load()
	plaintext, opened := reply.Data()["plaintext"]
	switch {
	case err != nil:
		u.note("%s: %v", r.Path, err)
	case reply.Status == http.StatusInternalServerError && dying:
	case reply.Status != http.StatusOK && reply.Status != http.StatusServiceUnavailable:
		u.note("%s: %d %v", r.Path, reply.Status, reply.Body)
	case reply.Status == http.StatusServiceUnavailable && succeeded(reply), opened && plaintext != hello:
		u.note("%s: %d with %v", r.Path, reply.Status, reply.Data())
	}
	c.add(reply.Status)
	return reply
}

func (u *tokenUses) note(format string, arguments ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wrong = append(u.wrong, fmt.Sprintf(format, arguments...))
}
