// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import "errors"

var (
	// ErrUnavailable is matched when the wrapper cannot work at the moment. The same call may succeed
	// later. Software is always available; tokens are not.
	ErrUnavailable = errors.New("key wrapper is unavailable")

	// ErrKEKMissing is matched when the data names a key encryption key that the wrapper does not
	// hold: another token's, or one that was destroyed.
	ErrKEKMissing = errors.New("key encryption key is missing")

	// ErrCorrupt is matched when the data is damaged, not in a known format, or was wrapped with other
	// associated data. It does not say which. Callers that do not know this package find a method
	// Corrupt() bool on it.
	ErrCorrupt error = corruptError{}
)

type corruptError struct{}

func (corruptError) Error() string { return "wrapped key is damaged or belongs elsewhere" }

// Corrupt tells a caller that does not import this package what ErrCorrupt says.
func (corruptError) Corrupt() bool { return true }
