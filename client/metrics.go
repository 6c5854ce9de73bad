// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"
	"time"
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
	Source  Source
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
