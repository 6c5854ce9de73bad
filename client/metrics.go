// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/datakeys"
)

// Metrics is told what a client does. It is called on the hot path and by many goroutines at once.
type Metrics interface {
	// Operation is told of each use of a key.
	Operation(o Operation)
	// Request is told of each request to Vault when it begins; what it returns is called when that ended.
	Request(ctx context.Context, key, op string) (ended func(outcome Outcome))
}

// Operation is one use of a key.
type Operation struct {
	Key     string
	Op      string // encrypt, decrypt or rewrap
	Source  Source // empty where it was not answered
	Outcome Outcome
}

// Source tells by what a use was answered.
type Source string

// Sources.
const (
	Local  Source = "local"  // a data key whose proof is fresh
	Engine Source = "engine" // a request to Vault
	Stale  Source = "stale"  // a data key whose proof has ended, while Vault does not answer
)

// Outcome tells how a use or a request ended.
type Outcome string

// Outcomes.
const (
	OK             Outcome = "ok"
	Unavailable    Outcome = "unavailable"
	AccessDenied   Outcome = "access_denied"
	KeyState       Outcome = "key_state"
	InvalidMessage Outcome = "invalid_message"
	InvalidInput   Outcome = "invalid_input"
)

// KeyStats is how a key stands.
type KeyStats struct {
	Key      string
	Version  int           // that Encrypt uses; 0: none yet
	DataKeys int           // in memory
	ProofAge time.Duration // of the oldest proof that still opens messages
}

// outcomeOf sorts an error.
func outcomeOf(err error) Outcome {
	if err == nil {
		return OK
	}
	var state *KeyStateError
	switch {
	case errors.Is(err, ErrInvalidMessage):
		return InvalidMessage
	case errors.Is(err, ErrInput):
		return InvalidInput
	case errors.Is(err, ErrAccessDenied):
		return AccessDenied
	case errors.As(err, &state):
		return KeyState
	}
	return Unavailable
}

// observe tells the metrics of requests.
func observe(m Metrics) func(ctx context.Context, key, op string) func(error) {
	if m == nil {
		return nil
	}
	return func(ctx context.Context, key, op string) func(error) {
		ended := m.Request(ctx, key, op)
		return func(err error) { ended(outcomeOf(err)) }
	}
}

// count tells the metrics of a use.
func (k *Key) count(op string, source datakeys.Source, err error) {
	if m := k.client.metrics; m != nil {
		m.Operation(Operation{Key: k.name, Op: op, Source: Source(source), Outcome: outcomeOf(err)})
	}
}
