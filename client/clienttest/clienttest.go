// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package clienttest has a Vault in memory for the tests of applications that use package client: with keys to rotate and
// suspend, rights to take away, and outages. It needs no socket, so that it works inside a bubble of testing/synctest.
//
// It knows what a client asks for and nothing else of Vault: logins, the token's own renewal and lookup, and datakey, decrypt
// and rewrap of an engine, below any mount. Answers have the forms of Vault 1.21.
package clienttest

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// Operations, as [FakeVault.Deny] takes them and [FakeVault.Requests] counts them.
const (
	Login   = "login"
	Renew   = "renew"
	Lookup  = "lookup"
	DataKey = "datakey"
	Decrypt = "decrypt"
	Rewrap  = "rewrap"
)

// FakeVault is a Vault in memory. It may be used by many goroutines at once. It is an [http.RoundTripper], by which the clients
// of [FakeVault.Client] reach it, and an [http.Handler], for tests that want a server.
type FakeVault struct {
	t testing.TB

	mu       sync.Mutex
	keys     map[string]*key
	denied   map[right]bool
	tokens   tokens
	outage   Outage
	requests map[string]int
}

type right struct{ key, op string }

// New returns a Vault without keys. What is asked of it that makes no sense, such as to rotate a key that it does not have,
// fails the test.
func New(t testing.TB) *FakeVault {
	return &FakeVault{
		t:        t,
		keys:     map[string]*key{},
		denied:   map[right]bool{},
		tokens:   tokens{ttl: 24 * time.Hour, renewable: true, valid: map[string]*token{}},
		requests: map[string]int{},
	}
}

// Client returns a client of this Vault with a token of its own that has no end, as root tokens have none.
func (f *FakeVault) Client() *api.Client {
	f.t.Helper()
	c, err := api.NewClient(&api.Config{Address: "http://vault.invalid:8200", HttpClient: &http.Client{Transport: f}})
	if err != nil {
		f.t.Fatalf("client of the fake vault: %v", err)
	}
	c.ClearNamespace()
	f.mu.Lock()
	defer f.mu.Unlock()
	c.SetToken(f.tokens.issue(0, false))
	return c
}

// Auth returns an auth method that logs in. Its tokens are as [FakeVault.SetTokens] says. Auth methods of Vault's API work as
// well: any credential is accepted, unless logins are refused.
func (f *FakeVault) Auth() api.AuthMethod { return appRole{} }

type appRole struct{}

func (appRole) Login(ctx context.Context, c *api.Client) (*api.Secret, error) {
	return c.Logical().WriteWithContext(ctx, "auth/approle/login", map[string]any{"role_id": "fake", "secret_id": "fake"})
}

// Deny takes away the right to an operation on a key: it is answered 403.
func (f *FakeVault) Deny(key, op string) { f.setDenied(key, op, true) }

// Allow gives back what [FakeVault.Deny] took.
func (f *FakeVault) Allow(key, op string) { f.setDenied(key, op, false) }

func (f *FakeVault) setDenied(key, op string, denied bool) {
	f.t.Helper()
	if op != DataKey && op != Decrypt && op != Rewrap {
		f.t.Fatalf("deny or allow %q of key %q: want %q, %q or %q", op, key, DataKey, Decrypt, Rewrap)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied[right{key, op}] = denied
}

// Requests tells how many requests there were of each operation, those included that an outage kept from an answer.
func (f *FakeVault) Requests() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.requests)
}

// ResetRequests begins to count anew.
func (f *FakeVault) ResetRequests() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.requests)
}
