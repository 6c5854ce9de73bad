// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package kle1 is the message format KLE1: data that was encrypted with a data key, together with that data key as the
// engine encrypted it. The specification is docs/envelope.md; the same format in Python is python/keylife/_envelope.py.
//
// The package knows bytes and data keys. It fetches no data key, keeps none, and asks nobody whether one may be used.
//
// What holds: a message opens with one data key only; whatever is wrong with a message is [ErrInvalidMessage] and nothing
// more; no plaintext comes with an error.
package kle1

import "errors"

// Suites of the format.
const (
	Field  Suite = 1 // one piece of AES-256-GCM, with a random nonce
	Stream Suite = 2 // AES-256-GCM in segments of 1 MiB: AES-GCM-HKDF of Tink
)

// Suite tells how the body of a message is encrypted.
type Suite byte

// Limits of the format.
const (
	MaxPlaintext = 64 << 20 // of a message in one piece
	MaxContext   = 1<<16 - 1
	MaxName      = 255
	MaxEDK       = 4096
	KeySize      = 32
)

var (
	// ErrInvalidMessage is all that is said of a message that does not open: it may have been altered, cut, sealed with
	// another context, or be no message at all.
	ErrInvalidMessage = errors.New("invalid message")
	// ErrInput is wrapped by errors about what the caller gave, which is never a message.
	ErrInput = errors.New("invalid input")
)
