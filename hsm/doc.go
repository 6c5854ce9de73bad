// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package hsm wraps small secrets, such as the data encryption key of a stored blob, under a key
// encryption key (KEK) that does not lie beside them.
//
// It stores nothing, and it knows no type of keylife's: bytes go in and bytes come out. [Software] holds
// its key in memory, and keeps one code path for mounts without an HSM. [Wrapper] uses a key that never
// leaves a token: [Choose] finds out in which [Suite] a token can, [Create] makes a key, [Adopt] takes one
// that exists, [Destroy] ends it. All write one format, and pass one conformance suite, hsmtest.
//
// Beside the wrappers stand [Resident], a key on a token that encrypts for clients, and [Random], which
// mixes random bytes of the token into the system's. What is spoken with a token is package cryptoki's;
// that it is reached, and recovered where it fails, is package token's, behind the interface [Token].
//
// Invariants:
//
//   - What is wrapped names its KEK, so that a missing KEK is told from damage.
//   - Wrapped bytes open under the associated data they were made with, and under no other. A change
//     to any byte of them is noticed.
//   - A failure to open is either [ErrCorrupt] or [ErrKEKMissing], which no retry heals, or else says
//     nothing about the data. A token that answers damage and trouble of its own alike is seen to work
//     before data is called corrupt.
//   - A key on a token opens its canary in each epoch of the token before it is used: handles of an
//     earlier one may name another key.
//   - No key is made where one is missing.
//   - No error holds a secret, and a wrapper never prints its key.
package hsm
