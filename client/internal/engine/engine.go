// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package engine asks keylife or Transit for data keys: it logs in, keeps the token alive, sends requests and sorts the
// answers. It keeps no data key, and tries nothing again but after a login.
package engine

import (
	"context"
	"errors"
)

// Made is a data key that the engine made.
type Made struct {
	EDK string
	Key []byte // 32 bytes
}

// Item is what a batch says of one encrypted data key.
type Item struct {
	Key []byte // the data key, of Open
	EDK string // of Rewrap
	Err error  // [kle1.ErrInvalidMessage] or a [refusal.KeyStateError]
}

// Engine sends one request a call. Errors wrap refusal.ErrUnavailable, refusal.ErrAccessDenied, or are a *refusal.KeyStateError.
type Engine struct{}

var errNotBuilt = errors.New("not built")

// Make asks for a new data key (datakey/plaintext).
func (e *Engine) Make(ctx context.Context, key string) (Made, error) { return Made{}, errNotBuilt }

// Open asks what at most 256 encrypted data keys are (decrypt). An error is about all of them.
func (e *Engine) Open(ctx context.Context, key string, edks []string) ([]Item, error) {
	return nil, errNotBuilt
}

// Rewrap asks for at most 256 encrypted data keys under the newest version (rewrap). An error is about all of them.
func (e *Engine) Rewrap(ctx context.Context, key string, edks []string) ([]Item, error) {
	return nil, errNotBuilt
}
