// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// engine is the key orders, in memory.
type engine struct {
	t       *testing.T
	newest  int
	keys    map[string][]byte // data keys, by what an EDK is behind its version
	refuse  map[string]error  // by the same
	outage  error
	batches []int  // sizes of requests for a rewrap
	meet    func() // is called in each of them
	remote  int    // requests to encrypt
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	return &engine{t: t, newest: 1, keys: map[string][]byte{}, refuse: map[string]error{}}
}

func (e *engine) make() *kle1.DataKey {
	material := make([]byte, kle1.KeySize)
	_, _ = rand.Read(material)
	id := make([]byte, 45)
	_, _ = rand.Read(id)
	text := base64.StdEncoding.EncodeToString(id)
	e.keys[text] = material
	k, err := kle1.New("orders", fmt.Sprintf("vault:v%d:%s", e.newest, text), material)
	require.NoError(e.t, err)
	return k
}

func idOf[T string | []byte](edk T) string {
	return string(edk)[strings.LastIndexByte(string(edk), ':')+1:]
}

func (e *engine) open(h kle1.Header) (*kle1.DataKey, error) {
	material, ok := e.keys[idOf(h.EDK)]
	if !ok {
		return nil, kle1.ErrInvalidMessage
	}
	return kle1.New("orders", string(h.EDK), material)
}

func (e *engine) Encrypt(_ context.Context, plaintext []byte, c client.Context) ([]byte, error) {
	if e.outage != nil {
		return nil, e.outage
	}
	return e.make().Seal(plaintext, c)
}

func (e *engine) EncryptText(ctx context.Context, plaintext []byte, c client.Context) (string, error) {
	message, err := e.Encrypt(ctx, plaintext, c)
	return kle1.Text(message), err
}

func (e *engine) Decrypt(_ context.Context, message []byte, c client.Context) ([]byte, error) {
	if bytes.HasPrefix(message, []byte("kle1.")) {
		binary, err := kle1.FromText(message)
		if err != nil {
			return nil, err
		}
		message = binary
	}
	m, err := kle1.Parse(message)
	if err != nil {
		return nil, err
	}
	k, err := e.open(m.Header)
	if err != nil {
		return nil, err
	}
	return k.Open(m, c)
}

func (e *engine) EncryptStream(_ context.Context, w io.Writer, c client.Context) (io.WriteCloser, error) {
	return e.make().NewWriter(w, c)
}

func (e *engine) DecryptStream(_ context.Context, r io.Reader, c client.Context) (io.Reader, error) {
	h, err := kle1.ReadHeader(r)
	if err != nil {
		return nil, err
	}
	k, err := e.open(h)
	if err != nil {
		return nil, err
	}
	return k.NewReader(h, r, c)
}

func (e *engine) Rewrap(_ context.Context, messages [][]byte) ([][]byte, error) {
	e.batches = append(e.batches, len(messages))
	if e.meet != nil {
		e.meet()
	}
	if e.outage != nil {
		return nil, e.outage
	}
	out := make([][]byte, len(messages))
	var all []error
	for i, message := range messages {
		m, err := kle1.Parse(message)
		if err == nil {
			err = e.refuse[idOf(m.EDK)]
		}
		if err == nil {
			out[i], err = kle1.Rewrapped(message, fmt.Sprintf("vault:v%d:%s", e.newest, idOf(m.EDK)))
		}
		if err != nil {
			all = append(all, &client.ItemError{Index: i, Err: err})
		}
	}
	return out, errors.Join(all...)
}

// result is what a run of the command came to.
type result struct {
	code           int
	stdout, stderr string
}

// kit runs the command on the engine.
type kit struct {
	*engine
	ctx   context.Context
	fs    atomicfile.FS
	clock time.Time
	tick  time.Duration // that each look at the clock takes
}

func newKit(t *testing.T) *kit {
	t.Helper()
	return &kit{engine: newEngine(t), ctx: t.Context(), fs: atomicfile.OS{}, clock: time.Unix(1_800_000_000, 0)}
}

func (k *kit) run(stdin string, args ...string) result {
	k.t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{
		stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, fs: k.fs,
		now: func() time.Time {
			k.clock = k.clock.Add(k.tick)
			return k.clock
		},
		connect: func(v vaultFlags) (session, error) {
			require.Equal(k.t, "orders", v.key)
			remote := func(context.Context, []byte) error { k.remote++; return nil }
			return session{key: k.engine, close: func() error { return nil }, remote: remote}, nil
		},
	}
	code := a.run(k.ctx, args)
	return result{code, stdout.String(), stderr.String()}
}

func (k *kit) ok(stdin string, args ...string) string {
	k.t.Helper()
	r := k.run(stdin, args...)
	require.Equal(k.t, exitOK, r.code, r.stderr)
	return r.stdout
}

// file writes a file and returns its path.
func file(t *testing.T, folder, name, content string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// names are what the folder holds.
func names(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
