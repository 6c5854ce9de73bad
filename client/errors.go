// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"errors"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

var (
	// ErrInvalidMessage is all that is said of a message that does not open.
	ErrInvalidMessage = kle1.ErrInvalidMessage
	// ErrInput is wrapped by errors about what the caller gave: a context, a plaintext, a name.
	ErrInput = kle1.ErrInput
	// ErrUnavailable is wrapped where Vault did not answer and no data key may be used without it. Trying again can help.
	ErrUnavailable = errors.New("vault is unavailable")
	// ErrAccessDenied is wrapped where Vault refused the token, also a new one.
	ErrAccessDenied = errors.New("access denied")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("client is closed")
)

// KeyStateError says that the engine refuses the use of a key or a version for what that is.
type KeyStateError struct {
	Key     string
	Version int    // 0: the key as a whole
	State   string // suspended, archived, ...; empty where the engine names none
	Reason  string // the engine's words
}

func (e *KeyStateError) Error() string {
	if e.Version == 0 {
		return fmt.Sprintf("key %q: %s", e.Key, e.Reason)
	}
	return fmt.Sprintf("key %q, version %d: %s", e.Key, e.Version, e.Reason)
}

// ItemError is about one of many messages.
type ItemError struct {
	Index int
	Err   error
}

func (e *ItemError) Error() string { return fmt.Sprintf("message %d: %v", e.Index, e.Err) }
func (e *ItemError) Unwrap() error { return e.Err }
