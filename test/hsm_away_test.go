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
)

// The token is taken away under load, and given back, twice: the second time the plugin begins anew meanwhile.
func TestATokenThatGoesAwayUnderLoad(t *testing.T) {
	t.Parallel()
	s := withToken(t, hsmtest.SoftHSMElsewhere(t), false)
	s.configure(t, "keylife")
	for _, key := range []string{"warm", "turned"} {
		s.Must(t, http.MethodPost, "keylife/keys/"+key, nil)
	}
	text := s.sealed(t, "keylife", "warm")
	u := startUses(s, text)
	defer u.stop()
	rotated := u.needing.more(http.StatusOK, 1)
	harness.Eventually(t, backAfter, u.warm.more(http.StatusOK, awayEvidence))
	harness.Eventually(t, backAfter, rotated)

	s.token.TakeAway(t)
	harness.Eventually(t, backAfter, u.needing.more(http.StatusServiceUnavailable, awayEvidence))
	harness.Eventually(t, backAfter, u.warm.more(http.StatusOK, awayEvidence))
	back := u.needing.more(http.StatusOK, 1)
	s.token.GiveBack(t)
	harness.Eventually(t, backAfter, back)
	require.Equal(t, "healthy", s.status(t, "keylife")["state"])

	s.token.TakeAway(t)
	u.dying.Store(true)
	require.Positive(t, s.KillPlugin(t))
	s.respawned(t, "keylife")
	u.dying.Store(false)
	harness.Eventually(t, backAfter, u.warm.more(http.StatusServiceUnavailable, awayEvidence))
	s.Must(t, http.MethodGet, "keylife/keys/warm", nil)
	back, warm := u.needing.more(http.StatusOK, 1), u.warm.more(http.StatusOK, awayEvidence)
	s.token.GiveBack(t)
	harness.Eventually(t, backAfter, back)
	harness.Eventually(t, backAfter, warm)

	u.stop()
	require.Empty(t, u.wrong)
	require.Equal(t, u.rotated, latest(t, s.Server, "turned"), "a rotation that was answered 503 was none")
	s.requireOpens(t, "keylife", "warm", text)
	s.requireTokenAsTold(t, "keylife")
}

// tokenUses counts answers of requests, and holds them against what they may be: right, or 503.
type tokenUses struct {
	server  tokenServer
	over    atomic.Bool
	dying   atomic.Bool // the plugin is: Vault answers 500 to what it had under way
	workers sync.WaitGroup
	warm    tally // of what is in memory
	needing tally // of what needs the token

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

// more tells whether so many more were counted since it was asked for.
func (c *tally) more(status, n int) func() error {
	count := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.of[status]
	}
	before := count()
	return func() error {
		if now := count(); now < before+n {
			return fmt.Errorf("%d answers of %d, %d before", now, status, before)
		}
		return nil
	}
}

func startUses(s tokenServer, text string) *tokenUses {
	u := &tokenUses{server: s, rotated: 1}
	post := func(path, body string) harness.Request {
		return harness.Request{Method: http.MethodPost, Path: "keylife/" + path, Body: body}
	}
	for _, r := range []harness.Request{post("decrypt/warm", object("ciphertext", text)), post("encrypt/warm", object("plaintext", hello))} {
		u.repeat(func() { u.use(&u.warm, r) })
	}
	u.repeat(func() {
		if reply := u.use(&u.needing, post("keys/turned/rotate", "{}")); reply.Status == http.StatusOK {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.rotated = number(reply.Data()["latest_version"])
		}
	})
	return u
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
