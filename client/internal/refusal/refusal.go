// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package refusal has the errors by which the parts of the client tell each other, and the application, why a use of a key
// did not succeed. Package client shows them under its own name.
package refusal

import (
	"errors"
	"fmt"
)

var (
	// ErrUnavailable is wrapped where Vault did not answer and no data key may be used without it. Trying again can help.
	ErrUnavailable = errors.New("vault is unavailable")
	// ErrAccessDenied is wrapped where Vault refused the token, also a new one.
	ErrAccessDenied = errors.New("access denied")
	// ErrClosed is returned after the client was closed.
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
