// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package engine asks keylife or Transit for data keys: it logs in, keeps the token alive, sends requests and sorts the
// answers. It keeps no data key, and tries nothing again but after a login.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

const (
	// MaxBatch is how many encrypted data keys one request may have.
	MaxBatch = 256

	attemptTimeout = 5 * time.Second
	userAgent      = "keylife-go/0.1"
)

// Options are what an [Engine] works with. Vault and Mount are required.
type Options struct {
	Vault    *api.Client    // is cloned; its token is used where Auth is nil
	Auth     api.AuthMethod // logs in
	Mount    string
	Consumer string // in the User-Agent

	// Observe is told of each request when it begins; what it returns is told how that ended. key is empty for login and renew.
	Observe func(ctx context.Context, key, op string) func(error)
	// Random gives numbers in [0,1) for jitter; default math/rand/v2.
	Random func() float64
}

// Made is a data key that the engine made.
type Made struct {
	EDK string
	Key []byte // 32 bytes
}

// Format keeps the key out of logs and errors, whatever the verb.
func (Made) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "data key [redacted]") }

// Item is what a batch says of one encrypted data key.
type Item struct {
	Key []byte // the data key, of Open
	EDK string // of Rewrap
	Err error  // [kle1.ErrInvalidMessage] or a [refusal.KeyStateError]
}

// Format is as of [Made].
func (Item) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "data key [redacted]") }

// Engine sends one request a call, and one more after a login. Errors wrap [refusal.ErrUnavailable] (see [RetryAfter]),
// [refusal.ErrAccessDenied], [refusal.ErrClosed] or [kle1.ErrInput], are a [*refusal.KeyStateError], or that of a context that
// the caller cancelled.
type Engine struct {
	mount   string
	session *session
	observe func(ctx context.Context, key, op string) func(error)
}

// New takes options. It asks nobody.
func New(o Options) (*Engine, error) {
	mount := strings.Trim(o.Mount, "/")
	if err := checkMount(mount); err != nil {
		return nil, err
	}
	if o.Vault == nil {
		return nil, fmt.Errorf("vault: no client: %w", kle1.ErrInput)
	}
	if o.Observe == nil {
		o.Observe = func(context.Context, string, string) func(error) { return func(error) {} }
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	agent, err := agentOf(o.Consumer)
	if err != nil {
		return nil, err
	}
	s, err := newSession(o, agent)
	if err != nil {
		return nil, err
	}
	return &Engine{mount: mount, session: s, observe: o.Observe}, nil
}

func checkMount(mount string) error {
	for part := range strings.SplitSeq(mount, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsFunc(part, notPlain) {
			return fmt.Errorf("mount %.64q: not the path of a secrets engine: %w", mount, kle1.ErrInput)
		}
	}
	return nil
}

func agentOf(consumer string) (string, error) {
	if consumer == "" {
		return userAgent, nil
	}
	if len(consumer) > 128 || strings.ContainsFunc(consumer, notPlain) {
		return "", fmt.Errorf("consumer %.64q: at most 128 printable ASCII characters, no space, %%, ?, # nor parenthesis: %w", consumer, kle1.ErrInput)
	}
	return fmt.Sprintf("%s (%s)", userAgent, consumer), nil
}

// notPlain tells what has a meaning of its own in a path or in a comment of a header.
func notPlain(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("%?#()\\", r) }

// Login makes sure that there is a token, and asks for one if there is none.
func (e *Engine) Login(ctx context.Context) error {
	_, err := e.session.token(ctx)
	return err
}

// Close ends the renewal of the token, and logins that are under way, and waits for them.
func (e *Engine) Close() { e.session.close() }

// Make asks for a new data key (datakey/plaintext).
func (e *Engine) Make(ctx context.Context, key string) (Made, error) {
	a, err := e.ask(ctx, request{op: "datakey", path: "datakey/plaintext", key: key, body: map[string]any{"bits": 8 * kle1.KeySize}})
	if err != nil {
		return Made{}, err
	}
	return a.made()
}

// Open asks what at most [MaxBatch] encrypted data keys are (decrypt). An error is about all of them.
func (e *Engine) Open(ctx context.Context, key string, edks []string) ([]Item, error) {
	return e.batch(ctx, "decrypt", key, edks)
}

// Rewrap asks for at most [MaxBatch] encrypted data keys under the newest version (rewrap). An error is about all of them.
func (e *Engine) Rewrap(ctx context.Context, key string, edks []string) ([]Item, error) {
	return e.batch(ctx, "rewrap", key, edks)
}

func (e *Engine) batch(ctx context.Context, op, key string, edks []string) ([]Item, error) {
	if len(edks) == 0 || len(edks) > MaxBatch {
		return nil, fmt.Errorf("batch: %d encrypted data keys, 1 to %d: %w", len(edks), MaxBatch, kle1.ErrInput)
	}
	input := make([]map[string]string, len(edks))
	for i, edk := range edks {
		input[i] = map[string]string{"ciphertext": edk}
	}
	body := map[string]any{"batch_input": input}
	if op == "decrypt" { // a rewrap is answered 200 without it
		body["partial_failure_response_code"] = 200
	}
	a, err := e.ask(ctx, request{op: op, path: op, key: key, body: body})
	if err != nil {
		return nil, err
	}
	return a.items(op, edks)
}

// ask sends a request. Where the token is refused, it logs in and sends once more.
func (e *Engine) ask(ctx context.Context, r request) (answer, error) {
	if err := kle1.CheckName(r.key); err != nil {
		return answer{}, err
	}
	t, err := e.session.token(ctx)
	if err != nil {
		return answer{}, err
	}
	a, err := e.send(ctx, t, r)
	if !errors.Is(err, refusal.ErrAccessDenied) {
		return a, err
	}
	t, again := e.session.afterRefusal(ctx, t, r.key)
	if again != nil {
		return answer{}, again
	}
	if t == nil {
		return answer{}, err
	}
	return e.send(ctx, t, r)
}

func (e *Engine) send(ctx context.Context, t *token, r request) (answer, error) {
	ended := e.observe(ctx, r.key, r.op)
	a, err := r.send(ctx, t.vault, e.mount)
	ended(err)
	return a, err
}
