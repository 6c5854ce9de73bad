// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/helper/errutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// mount is a mounted backend with a storage that can fail and a clock that tests move.
type mount struct {
	t       *testing.T
	storage *storagetest.Storage
	system  *countingView
	clock   *fakeClock
	random  io.Reader
	log     *syncBuffer
	id      string // of every request; empty: each has its own
	*backend
}

var start = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

func newMount(t *testing.T) *mount {
	t.Helper()
	m := &mount{
		t: t, storage: storagetest.New(), clock: &fakeClock{now: start}, random: rand.Reader, log: &syncBuffer{},
		system: &countingView{StaticSystemView: logical.StaticSystemView{}},
	}
	m.restart()
	return m
}

// restart is what a plugin reload does: nothing in memory survives.
func (m *mount) restart() {
	m.t.Helper()
	conf := &logical.BackendConfig{
		Logger:      hclog.New(&hclog.LoggerOptions{Output: m.log, Level: hclog.Debug}),
		System:      m.system,
		StorageView: m.storage,
	}
	var err error
	m.backend, err = newBackend(context.Background(), conf, engine.Config{Now: m.clock.Now, Rand: m.random})
	require.NoError(m.t, err)
}

// answer is what an HTTP client of Vault would get.
type answer struct {
	status   int
	data     map[string]any
	err      string
	warnings []string
}

// do sends one request the way Vault does: an existence check first where the path has one.
func (m *mount) do(op logical.Operation, path string, data map[string]any) answer {
	m.t.Helper()
	ctx := context.Background()
	req := &logical.Request{ID: cmp.Or(m.id, rand.Text()), Operation: op, Path: path, Data: data, Storage: m.storage, MountPoint: "keylife/"}
	if op == logical.UpdateOperation {
		checked, exists, err := m.HandleExistenceCheck(ctx, req)
		if user := new(errutil.UserError); errors.As(err, user) {
			return answer{status: http.StatusBadRequest, err: err.Error()}
		}
		if !errors.Is(err, logical.ErrUnsupportedPath) {
			require.NoError(m.t, err)
		}
		if checked && !exists {
			req.Operation = logical.CreateOperation
		}
	}
	resp, err := m.HandleRequest(ctx, req)
	return toAnswer(req, resp, err)
}

// as sends a request under an id. Vault sends one again, with its id, when the plugin dies under it.
func (m *mount) as(id string, send func(m *mount) answer) answer {
	m.id = id
	defer func() { m.id = "" }()
	return send(m)
}

func toAnswer(req *logical.Request, resp *logical.Response, err error) answer {
	status, respErr := logical.RespondErrorCommon(req, resp, err)
	if err != nil {
		logical.AdjustErrorStatusCode(&status, err)
	}
	a := answer{status: status}
	if respErr != nil {
		a.err = respErr.Error()
		return a
	}
	if resp == nil {
		a.status = max(a.status, http.StatusNoContent)
		return a
	}
	a.status, a.data, a.warnings = max(a.status, http.StatusOK), resp.Data, resp.Warnings
	if raw, ok := resp.Data[logical.HTTPRawBody].(string); ok {
		a.status, _ = resp.Data[logical.HTTPStatusCode].(int)
		var body struct{ Data map[string]any }
		if json.Unmarshal([]byte(raw), &body) == nil {
			a.data = body.Data
		}
	}
	return a
}

func (m *mount) write(path string, kv ...any) answer {
	m.t.Helper()
	return m.do(logical.UpdateOperation, path, dataOf(kv...))
}

func (m *mount) read(path string) answer {
	m.t.Helper()
	return m.do(logical.ReadOperation, path, map[string]any{})
}

func (m *mount) delete(path string) answer {
	m.t.Helper()
	return m.deleteWith(path)
}

func (m *mount) deleteWith(path string, kv ...any) answer {
	m.t.Helper()
	return m.do(logical.DeleteOperation, path, dataOf(kv...))
}

func (m *mount) list(path string, kv ...any) answer {
	m.t.Helper()
	return m.do(logical.ListOperation, path, dataOf(kv...))
}

func dataOf(kv ...any) map[string]any {
	data := map[string]any{}
	for i := 0; i < len(kv); i += 2 {
		data[kv[i].(string)] = kv[i+1] //nolint:forcetypeassert // test data
	}
	return data
}

// must fails the test unless the request succeeded.
func (m *mount) must(a answer) answer {
	m.t.Helper()
	require.Less(m.t, a.status, 300, "status %d: %s", a.status, a.err)
	return a
}

func (m *mount) encrypt(key, plaintext string) string {
	m.t.Helper()
	return m.must(m.write("encrypt/"+key, "plaintext", b64(plaintext))).data["ciphertext"].(string)
}

func (m *mount) decrypt(key, ciphertext string) string {
	m.t.Helper()
	raw, err := base64.StdEncoding.DecodeString(m.must(m.write("decrypt/"+key, "ciphertext", ciphertext)).data["plaintext"].(string))
	require.NoError(m.t, err)
	return string(raw)
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// tickNow runs Vault's periodic function as Vault does.
func (m *mount) tickNow() error {
	_, err := m.HandleRequest(context.Background(), &logical.Request{Operation: logical.RollbackOperation, Storage: m.storage})
	return err
}

// repoOf is the storage as a request sees it.
func (m *mount) repoOf() engine.Repo { return m.requestStore(&logical.Request{Storage: m.storage}) }

// repoKey is a key as it is stored.
func (m *mount) repoKey(name string) lifecycle.Key {
	m.t.Helper()
	k, err := m.repoOf().Key(context.Background(), name)
	require.NoError(m.t, err)
	return k
}

// corrupt damages a stored entry.
func (m *mount) corrupt(path string) {
	m.t.Helper()
	require.NoError(m.t, m.storage.Put(context.Background(), &logical.StorageEntry{Key: path, Value: []byte("{broken")}))
	m.restart()
}

// advance moves the clock minute by minute, ticking.
func (m *mount) advance(d time.Duration) {
	m.t.Helper()
	for end := m.clock.Now().Add(d); m.clock.Now().Before(end); {
		m.clock.add(time.Minute)
		require.NoError(m.t, m.tickNow())
	}
}

type fakeClock struct {
	mu   sync.Mutex
	now  time.Time
	step time.Duration // goes by whenever somebody looks
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.step)
	return c.now
}

func (c *fakeClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// countingView counts what an external plugin would have to ask Vault.
type countingView struct {
	logical.StaticSystemView
	mu    sync.Mutex
	calls int
}

func (v *countingView) ReplicationState() consts.ReplicationState {
	v.called()
	return v.StaticSystemView.ReplicationState()
}

func (v *countingView) CachingDisabled() bool {
	v.called()
	return v.StaticSystemView.CachingDisabled()
}
func (v *countingView) LocalMount() bool { v.called(); return v.StaticSystemView.LocalMount() }

func (v *countingView) called() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
}

func (v *countingView) reset() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.calls
	v.calls = 0
	return n
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

var _ io.Writer = (*syncBuffer)(nil)

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
