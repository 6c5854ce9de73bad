// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package p11 speaks with a PKCS#11 library in C: it implements [cryptoki.Library] and [cryptoki.Session].
//
// It is not for recovery, pools or deadlines, which package token adds, and it knows no wrapping. It needs cgo: a binary built
// without it, or with the tag nohsm, has an Open that says so.
//
// Calls that manage (slots, sessions, objects, keys) go through github.com/miekg/pkcs11. What carries secrets (PIN, plaintext,
// random bytes) goes through a shim of this package: one crossing into C an operation, in memory of Go's that is wiped.
//
// Invariants:
//
//   - A library is loaded once a process and never unloaded. It is initialised while somebody holds it; all who hold it share
//     the initialisation, the logins and the sessions' limit.
//   - C_Finalize runs while no other call is under way.
//   - Who holds a library that another holder has initialised anew is told ErrNotInitialized until Reinitialize: handles of the
//     initialisation before never reach the library, which may have given their numbers to other objects.
//   - A GCM IV is never missing, and is where the token wrote the one it chose.
//   - No error holds a PIN, a plaintext or a key.
package p11

import (
	"errors"
	"time"
)

// Options say which library, and how it is initialised.
type Options struct {
	Path     string // absolute
	Reserved string // pReserved of CK_C_INITIALIZE_ARGS: what NSS and some others are configured with

	// Drain is how long Reinitialize and the last Close wait for the calls of others to end (0: five seconds), while calls that
	// begin wait for them. After that they do nothing and return ErrBusy, and do so at once until the calls that they waited
	// for have ended.
	Drain time.Duration
}

var (
	// ErrNotBuilt is matched when this binary speaks with no PKCS#11 library.
	ErrNotBuilt = errors.New("this binary was built without PKCS#11: use vault-plugin-keylife-hsm")

	// ErrBusy is matched when a library cannot be finalized, because calls are under way that do not end.
	ErrBusy = errors.New("calls are under way in the PKCS#11 library that do not end")
)
