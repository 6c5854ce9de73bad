// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"errors"
	"fmt"
)

var (
	// ErrInput is matched by errors the caller's data is at fault for. Their text is meant for the
	// caller; it is Transit's, with the name of the field where Transit leaves it out.
	ErrInput = errors.New("invalid input")

	// ErrInternal is matched by errors the caller can do nothing about.
	ErrInternal = errors.New("internal error")

	// ErrCorrupt is returned for a sealed blob that is damaged or was made for another binding. It
	// does not say which of the two, nor where: that would tell an attacker how far a forgery got.
	ErrCorrupt = errors.New("sealed key material is damaged or belongs to another key")

	// ErrUnavailable is matched by an error of a [KeyWrapper] that cannot work at the moment, or did not answer in
	// time. It says nothing about what was to be wrapped or unwrapped: the same call may succeed later.
	ErrUnavailable = errors.New("key wrapper is unavailable")

	// ErrUnsupported is matched by an error that says that a token cannot hold such a key, or none at all.
	ErrUnsupported = errors.New("not supported by the token")

	// ErrWrap is matched by an error of [Rewrap] that is the wrapper's in wrapping: no other blob would fare better.
	ErrWrap = errors.New("wrap key")
)

// errAuthentication is the one answer to a ciphertext that does not authenticate. keysutil passes on
// the text of the cipher in use and so tells key types apart; this is the text of AES-GCM.
var errAuthentication = inputError("cipher: message authentication failed")

// errPayload is the answer to a ciphertext that is no base64.
var errPayload = inputError("invalid ciphertext: could not decode base64")

// failure gives a text one of the classes above without showing the class: clients match on
// Transit's texts, which carry no prefix.
type failure struct {
	class error
	text  string
}

func (f failure) Error() string { return f.text }
func (f failure) Unwrap() error { return f.class }

func inputError(text string) error { return failure{ErrInput, text} }

// errTokenInput is the class of what a caller asks of a key on a token that the token cannot do.
var errTokenInput = fmt.Errorf("%w: %w", ErrInput, ErrUnsupported)

func unsupportedError(text string) error { return failure{errTokenInput, text} }

// plaintextError names the field, which keysutil and base64 do not.
func plaintextError(err error) error { return inputError("plaintext: " + err.Error()) }

func internalError(text string) error { return failure{ErrInternal, text} }
