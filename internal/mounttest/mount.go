// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package mounttest is a mount for tests of what the plugin does: the backend behind [keylife.New], on a storage that can
// fail, with a clock that tests move. A test sends requests, as a client of Vault would, and looks at what is stored;
// nothing in it knows how the backend is made.
//
// All of it complains: what a helper needs and does not get fails the test, at the line that called the helper.
// [Mount.Must] and [Mount.Refused] say of an answer what it has to be; a helper that returns an [Answer] demands nothing.
//
// Many tests are about one key. It is called k, its policy is called p, and [Key] has what is done with it.
package mounttest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/errutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/front"
)

// Mount is a mounted backend. Its requests may come from several goroutines; all else belongs to the test's own.
type Mount struct {
	T       testing.TB
	Storage *Storage
	System  *CountingView
	Clock   *Clock
	Log     *Log
	Options keylife.Options            // of the next Restart
	Caller  func(req *logical.Request) // says of a request who sends it; nil: nobody
	K       *Key                       // called k
	logical.Backend

	id      string // of every request; empty: each has its own
	asked   *atomic.Int64
	wrapper func(envelope.KeyWrapper) envelope.KeyWrapper
}

// New returns a mount on an empty storage, at [Start].
func New(t testing.TB) *Mount {
	t.Helper()
	clock := &Clock{now: Start}
	m := &Mount{
		T: t, Storage: newStorage(t, clock), Clock: clock, Log: &Log{}, asked: new(atomic.Int64),
		System: &CountingView{StaticSystemView: logical.StaticSystemView{}},
	}
	m.K = &Key{m}
	m.Options = keylife.Options{Now: clock.Now, TestOnlyWrapper: func(w envelope.KeyWrapper) envelope.KeyWrapper {
		if m.wrapper == nil {
			return w
		}
		return m.wrapper(w)
	}}
	m.Restart()
	return m
}

// Restart is what a plugin reload does: nothing in memory survives. The backend is made with Options.
func (m *Mount) Restart() {
	m.T.Helper()
	conf := &logical.BackendConfig{
		Logger:      hclog.New(&hclog.LoggerOptions{Output: m.Log, Level: hclog.Debug}),
		System:      m.System,
		StorageView: m.Storage,
	}
	var err error
	m.Backend, err = keylife.New(context.Background(), conf, m.Options)
	require.NoError(m.T, err)
}

// Load makes the mount, which is empty, one that has stored what another had, and Restarts it.
func (m *Mount) Load(entries map[string][]byte) {
	m.T.Helper()
	for path, value := range entries {
		m.Storage.Plant(path, value)
	}
	m.Restart()
}

// WrapKeys puts a wrapper before the one that seals material in use: an HSM, or a token that fails. With nil there is
// none any more.
func (m *Mount) WrapKeys(with func(envelope.KeyWrapper) envelope.KeyWrapper) {
	m.wrapper = with
	m.InvalidateKey(context.Background(), "config/kek") // it is read anew
}

// Do sends one request the way Vault does: an existence check first where the path has one. Every other request is one that
// internal/front answers directly where it can, so that what a suite demands is demanded of both ways.
func (m *Mount) Do(op logical.Operation, path string, data map[string]any) Answer {
	m.T.Helper()
	return m.DoWith(context.Background(), op, path, data)
}

// DoWith is Do in a context, for requests that are given up.
func (m *Mount) DoWith(ctx context.Context, op logical.Operation, path string, data map[string]any) Answer {
	m.T.Helper()
	req := &logical.Request{ID: cmp.Or(m.id, rand.Text()), Operation: op, Path: path, Data: data, Storage: m.Storage, MountPoint: "keylife/"}
	if m.Caller != nil {
		m.Caller(req)
	}
	send := m.HandleRequest
	if m.asked.Add(1)%2 == 0 {
		send = directly(m)
	}
	if op == logical.UpdateOperation {
		checked, exists, err := m.HandleExistenceCheck(ctx, req)
		if user := new(errutil.UserError); errors.As(err, user) {
			return Answer{Status: http.StatusBadRequest, Err: err.Error()}
		}
		if !errors.Is(err, logical.ErrUnsupportedPath) {
			require.NoError(m.T, err)
		}
		if checked && !exists {
			req.Operation = logical.CreateOperation
		}
	}
	resp, err := send(ctx, req)
	return ToAnswer(req, resp, err)
}

// directly is HandleRequest for requests that come as Vault encodes them.
func directly(m *Mount) func(context.Context, *logical.Request) (*logical.Response, error) {
	return func(ctx context.Context, req *logical.Request) (*logical.Response, error) {
		body, err := json.Marshal(req.Data)
		require.NoError(m.T, err)
		encoded := *req
		encoded.Data = nil
		if resp, ok, err := m.Backend.(front.Direct).Direct(ctx, &encoded, string(body)); ok {
			return resp, err
		}
		return m.HandleRequest(ctx, req)
	}
}

// As sends a request under an id. Vault sends one again, with its id, when the plugin dies under it.
func (m *Mount) As(id string, send func(m *Mount) Answer) Answer {
	m.id = id
	defer func() { m.id = "" }()
	return send(m)
}

// Write sends a request that creates or updates, with fields as name, value, name, value.
func (m *Mount) Write(path string, kv ...any) Answer {
	m.T.Helper()
	return m.Do(logical.UpdateOperation, path, Data(kv...))
}

// Read sends a request that reads, with fields as [Mount.Write] has them.
func (m *Mount) Read(path string, kv ...any) Answer {
	m.T.Helper()
	return m.Do(logical.ReadOperation, path, Data(kv...))
}

// Delete sends a request that deletes, with fields as [Mount.Write] has them.
func (m *Mount) Delete(path string, kv ...any) Answer {
	m.T.Helper()
	return m.Do(logical.DeleteOperation, path, Data(kv...))
}

// List sends a request that lists, with fields as [Mount.Write] has them.
func (m *Mount) List(path string, kv ...any) Answer {
	m.T.Helper()
	return m.Do(logical.ListOperation, path, Data(kv...))
}

// Must fails the test unless the request succeeded.
func (m *Mount) Must(a Answer) Answer {
	m.T.Helper()
	require.Less(m.T, a.Status, 300, "status %d: %s", a.Status, a.Err)
	return a
}

// Refused demands a 400 that says all of that.
func (m *Mount) Refused(a Answer, parts ...string) {
	m.T.Helper()
	require.Equal(m.T, http.StatusBadRequest, a.Status, a.Err)
	for _, part := range parts {
		require.Contains(m.T, a.Err, part)
	}
}

// Encrypt returns the ciphertext of a text.
func (m *Mount) Encrypt(key, plaintext string) string {
	m.T.Helper()
	return m.Must(m.Write("encrypt/"+key, "plaintext", B64(plaintext))).Data["ciphertext"].(string)
}

// Decrypt returns the text in a ciphertext.
func (m *Mount) Decrypt(key, ciphertext string) string {
	m.T.Helper()
	raw, err := base64.StdEncoding.DecodeString(m.Must(m.Write("decrypt/"+key, "ciphertext", ciphertext)).Data["plaintext"].(string))
	require.NoError(m.T, err)
	return string(raw)
}

// SetStored sets fields of a stored policy or version, as a release would have that wrote it long ago.
func (m *Mount) SetStored(path string, kv ...any) {
	m.T.Helper()
	m.Storage.setFields(path, Data(kv...))
	m.InvalidateKey(context.Background(), path)
}

// Corrupt damages a stored entry, of which nothing is in memory then.
func (m *Mount) Corrupt(path string) {
	m.T.Helper()
	m.Storage.Plant(path, []byte("{broken"))
	m.Restart()
}
