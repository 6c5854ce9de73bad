// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"fmt"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

var (
	// ErrInvalidMessage is all that is said of a message that does not open.
	ErrInvalidMessage = kle1.ErrInvalidMessage
	// ErrInput is wrapped by errors about what the caller gave: a context, a plaintext, a name.
	ErrInput = kle1.ErrInput
	// ErrUnavailable is wrapped where Vault did not answer and no data key may be used without it. Trying again can help.
	ErrUnavailable = refusal.ErrUnavailable
	// ErrAccessDenied is wrapped where Vault refused the token, also a new one.
	ErrAccessDenied = refusal.ErrAccessDenied
	// ErrClosed is returned after Close.
	ErrClosed = refusal.ErrClosed
)

// KeyStateError says that the engine refuses the use of a key or a version for what that is.
type KeyStateError = refusal.KeyStateError

// ItemError is about one of many messages.
type ItemError struct {
	Index int
	Err   error
}

func (e *ItemError) Error() string { return fmt.Sprintf("message %d: %v", e.Index, e.Err) }
func (e *ItemError) Unwrap() error { return e.Err }
