// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import "errors"

var (
	// ErrUnavailable is matched when the wrapper cannot work at the moment. The same call may succeed
	// later. Software is always available; tokens are not.
	ErrUnavailable = errors.New("key wrapper is unavailable")

	// ErrPINRejected is matched when the token refused the PIN. No call succeeds before somebody
	// changes the configuration, and no further login is tried: tokens lock.
	ErrPINRejected = errors.New("token rejected the PIN")

	// ErrKEKMissing is matched when the data names a key encryption key that the wrapper does not
	// hold, another token's or one that was destroyed, and when the token does not hold the key that
	// its description names. Nothing makes a key in the place of a missing one.
	ErrKEKMissing = errors.New("key encryption key is missing")

	// ErrKEKMismatch is matched when the token holds a key by the name of a key encryption key that
	// is another: it does not open what that key is known to have wrapped, there are several of the
	// name, or it may leave the token.
	ErrKEKMismatch = errors.New("key on the token is not the key encryption key")

	// ErrUnsupported is matched when the token cannot do what is asked of it, or keylife cannot.
	ErrUnsupported = errors.New("not supported")

	// ErrMisconfigured is matched when the token cannot be used as it is configured: several tokens match
	// the selection, or another mount uses the token with another PIN.
	ErrMisconfigured = errors.New("token is misconfigured")

	// ErrNotBuilt is matched when the binary was built without PKCS#11.
	ErrNotBuilt = errors.New("this binary was built without PKCS#11")

	// ErrCorrupt is matched when the data is damaged, not in a known format, or was wrapped with other
	// associated data. It does not say which. Callers that do not know this package find a method
	// Corrupt() bool on it.
	ErrCorrupt error = corruptError{}
)

type corruptError struct{}

func (corruptError) Error() string { return "wrapped key is damaged or belongs elsewhere" }

// Corrupt tells a caller that does not import this package what ErrCorrupt says.
func (corruptError) Corrupt() bool { return true }
