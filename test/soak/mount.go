// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	path    = "keylife/"
	policy  = "soak"
	written = "written" // a policy that is written again and again
	probed  = "probed"  // a key that nothing is done to: what is measured on it, is measured on all
	reason  = "CHG-4711: part of the soak"

	clients  = 4
	mostTold = 20 // failures that are told; all are counted
)

// The types of keys, and how many of a hundred there are.
var types = []struct {
	name  string
	share int
}{{"aes256-gcm96", 60}, {"chacha20-poly1305", 10}, {"aes128-gcm96", 6}, {"ed25519", 10}, {"ecdsa-p256", 10}, {"hmac", 4}}

// body is a request's.
type body = map[string]any

// mount is the mount under load, and what its clients remember.
type mount struct {
	server *harness.Server
	config Config
	keys   []*key
	people people
	next   int // the key that is replaced next

	mu       sync.Mutex
	requests map[string]int64 // by what was asked for
	failures Failures
}

// key is what a client knows of a key. Whoever takes it away from all others holds it for writing.
type key struct {
	sync.RWMutex
	name, kind string

	mu     sync.Mutex
	sealed []sealed // the newest last
}

// sealed is a text that was encrypted.
type sealed struct {
	ciphertext, plaintext string
	at                    time.Time
}

// Failures are answers that were not due.
type Failures struct {
	Count int64    `json:"count"`
	First []string `json:"first,omitempty"` // some of them
}

func newMount(s *harness.Server, c Config) (*mount, error) {
	m := &mount{server: s, config: c, requests: map[string]int64{}}
	lives := body{
		"owner": "soak", "rotation_period": "1m", "rollback_window": 0, "recipient_period": "2m", "retire_after": "1m", "quiet_period": 0,
		"min_versions_kept": 2, "notify_before": 0,
	}
	for name, fields := range map[string]body{policy: lives, written: {"owner": "soak"}} {
		if _, err := m.ask(http.MethodPost, "policies/"+name, fields, http.StatusOK); err != nil {
			return nil, err
		}
	}
	if _, err := m.ask(http.MethodPost, "keys/"+probed, nil, http.StatusOK); err != nil {
		return nil, err
	}
	for i := range c.Keys {
		k := &key{name: fmt.Sprintf("key-%04d", i), kind: kindOf(i)}
		m.keys = append(m.keys, k)
		if err := m.create(k); err != nil {
			return nil, err
		}
	}
	return m, m.people.employ(m)
}

// kindOf spreads the types over the keys.
func kindOf(i int) string {
	at := i * 37 % 100
	for _, t := range types {
		if at -= t.share; at < 0 {
			return t.name
		}
	}
	panic("internal error: the shares of types are less than a hundred")
}

// loops are what goes on at the same time.
func (m *mount) loops() []loop {
	loops := []loop{
		{m.config.Turnover / time.Duration(len(m.keys)), m.replace},
		{max(m.config.Length/200, 6*time.Second), m.people.turn(m)},
	}
	for i := range clients {
		r := rand.New(rand.NewPCG(m.config.Seed, uint64(i)))
		loops = append(loops, loop{time.Duration(clients * float64(time.Second) / m.config.Rate), func() { m.work(r) }})
	}
	return loops
}

// ask sends a request. Another status than the one that is due is an error.
func (m *mount) ask(method, to string, in any, due int) (map[string]any, error) {
	return m.askAs("", method, to, in, due)
}

func (m *mount) askAs(token, method, to string, in any, due int) (map[string]any, error) {
	reply, err := m.server.Send(harness.Request{Method: method, Path: path + to, Body: in, Token: token, Context: context.Background()})
	if err == nil && reply.Status != due {
		err = fmt.Errorf("answered %d, and %d was due: %v", reply.Status, due, reply.Body["errors"])
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, to, err)
	}
	if due >= http.StatusBadRequest {
		return reply.Body, nil
	}
	return reply.Data(), nil
}

// did counts what was done, and how it ended.
func (m *mount) did(what string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[what]++
	if err == nil {
		return
	}
	m.failures.Count++
	if len(m.failures.First) < mostTold {
		m.failures.First = append(m.failures.First, fmt.Sprintf("%s %s: %v", time.Now().UTC().Format(time.RFC3339), what, err))
	}
}

func (m *mount) counted() (map[string]int64, Failures) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.requests), Failures{m.failures.Count, slices.Clone(m.failures.First)}
}

func text(r *rand.Rand) string {
	plain := make([]byte, 16+r.IntN(500))
	for i := range plain {
		plain[i] = byte(r.Uint32())
	}
	return base64.StdEncoding.EncodeToString(plain)
}
