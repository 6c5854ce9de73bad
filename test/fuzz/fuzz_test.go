// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package fuzz_test sends sequences of requests that the fuzzer chooses to the whole backend, behind its Factory: every path
// and operation of the mount's OpenAPI document, with values that nothing asks for, with storage writes that fail in each
// way, restarts, ticks and, in builds with the tag testclock, steps of the clock. What must not be is at send.
package fuzz_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	keylife "github.com/keylife/vault-plugin-keylife"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

const (
	steps        = 60
	seeds        = 12
	anyStep      = 7               // sends a request
	mostCalls    = 20_000          // of the storage, for one request
	mostAnswered = 4 << 20         // bytes
	hangs        = 2 * time.Minute // a request that calls no storage and does not come back
)

// machine is a mount, and what was done to it.
type machine struct {
	t testing.TB
	logical.Backend
	storage     *storagetest.Storage
	endpoints   []endpoint
	ciphertexts []string // JSON
	clock       string   // path of the file that a build with the tag testclock goes by
	ahead       time.Duration
	story       []string
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	m := &machine{t: t, storage: storagetest.New(), clock: filepath.Join(t.TempDir(), "clock")}
	require.NoError(t, os.Setenv("KEYLIFE_TEST_CLOCK", m.clock)) // not t.Setenv: a fuzz target runs beside others
	m.restart()
	m.endpoints = surface(t, m.Backend)
	for _, path := range []string{"policies/p", "keys/k", "keys/l"} {
		m.send(&logical.Request{Operation: logical.UpdateOperation, Path: path, Data: map[string]any{"owner": "o"}, Storage: m.storage})
	}
	return m
}

func (m *machine) restart() {
	m.note("restart")
	var err error
	m.Backend, err = keylife.Factory(context.Background(), &logical.BackendConfig{
		Logger: hclog.NewNullLogger(), StorageView: m.storage,
		System: &logical.StaticSystemView{PluginEnvironment: &logical.PluginEnvironment{VaultVersion: "1.21.1"}}, // help asks for it
	})
	require.NoError(m.t, err)
}

func (m *machine) note(format string, a ...any) { m.story = append(m.story, fmt.Sprintf(format, a...)) }

func (m *machine) step(in *input) {
	m.storage.FailWriteAs(0, storagetest.Lost) // none
	switch in.choose(24) {
	case 1:
		m.restart()
	case 2:
		m.tick()
	case 3:
		m.ahead += []time.Duration{time.Minute, time.Hour, 23 * time.Hour, -time.Hour}[in.choose(4)]
		m.note("clock %s", m.ahead)
		require.NoError(m.t, os.WriteFile(m.clock, []byte(m.ahead.String()), 0o600))
	case 4, 5, 6:
		at, fate := 1+in.choose(10), storagetest.Fates()[in.choose(len(storagetest.Fates()))]
		m.note("write %d of the next is %s", at, fate)
		m.storage.FailWriteAs(at, fate)
		m.send(m.request(in))
		m.storage.Heal()
	default:
		m.send(m.request(in))
	}
}

// faults are the paths on which Transit answers refusals with 500, and so does the mount.
var faults = regexp.MustCompile(`^keys/[^/]+(/(import|import_version|rotate|set-certificate))?$|^(byok-export|export|backup|restore|sign|verify)/`)

// send sends a request as Vault does, an existence check first. It must neither panic nor hang; its answer is of a bounded
// size and can be sent as JSON, and is no 500 where the storage did not fail.
func (m *machine) send(req *logical.Request) {
	m.storage.Reset()
	watchdog := time.AfterFunc(hangs, func() { panic("internal error: no answer within " + hangs.String() + "\n" + m.tale()) })
	resp, err := m.exchange(req)
	watchdog.Stop()
	calls := m.storage.Reset().Total()
	require.LessOrEqual(m.t, calls, mostCalls, "calls of the storage\n%s", m.tale())
	status, refusal := logical.RespondErrorCommon(req, resp, err)
	if err != nil {
		logical.AdjustErrorStatusCode(&status, err)
	}
	if refusal != nil {
		require.NotContains(m.t, refusal.Error(), "internal error", m.tale())
		asTransit := strings.HasPrefix(refusal.Error(), "failed to parse batch input") || faults.MatchString(req.Path) // its 500
		require.True(m.t, status < 500 || asTransit || m.storage.Fired(), "%d %s\n%s", status, refusal, m.tale())
	}
	if resp != nil {
		body, err := json.Marshal(resp.Data)
		require.NoError(m.t, err, m.tale())
		require.LessOrEqual(m.t, len(body), mostAnswered, "bytes answered\n%s", m.tale())
		m.learn(resp)
	}
}

func (m *machine) exchange(req *logical.Request) (*logical.Response, error) {
	ctx := context.Background()
	if req.Operation == logical.UpdateOperation {
		checked, exists, err := m.HandleExistenceCheck(ctx, req)
		if err != nil && !errors.Is(err, logical.ErrUnsupportedPath) {
			return nil, err
		}
		if checked && !exists {
			req.Operation = logical.CreateOperation
		}
	}
	return m.HandleRequest(ctx, req)
}

// tick is Vault's call once a minute; the next one does what this one could not.
func (m *machine) tick() {
	m.note("tick")
	_, err := m.HandleRequest(context.Background(), &logical.Request{Operation: logical.RollbackOperation, Storage: m.storage})
	if err != nil {
		require.NotContains(m.t, err.Error(), "internal error", m.tale())
	}
}

// tale is what led here, oldest first.
func (m *machine) tale() string { return strings.Join(m.story, "\n") }

// requireSound demands that custody is whole after all.
func (m *machine) requireSound() {
	require.NoError(m.t, m.storage.Land())
	m.restart()
	m.tick()
	resp, err := m.HandleRequest(context.Background(), &logical.Request{Operation: logical.UpdateOperation, Path: "custody/verify", Storage: m.storage})
	require.NoError(m.t, err, m.tale())
	require.Equal(m.t, true, resp.Data["valid"], "%v\n%s", resp.Data["problems"], m.tale())
}

func FuzzRequests(f *testing.F) {
	racetest.Skip(f, "one goroutine works alone")
	for seed := range uint64(seeds) {
		chance, bytes := rand.New(rand.NewPCG(seed, 0)), make([]byte, 20*steps)
		for i := range bytes {
			bytes[i] = byte(chance.UintN(256))
		}
		f.Add(bytes)
	}
	largest := byte(slices.Index(nasty, `"9223372036854775807"`))
	for i, to := range newMachine(f).endpoints {
		if to.op == logical.ListOperation && parameter.MatchString(to.path) {
			f.Add([]byte{anyStep, byte(i), 0, 1, 1, largest}) // of k or p: the numbers after the largest
		}
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		m, in := newMachine(t), input(bytes)
		for range steps {
			if len(in) > 0 {
				m.step(&in)
			}
		}
		m.requireSound()
	})
}
