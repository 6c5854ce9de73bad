// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package hsm wraps small secrets, such as the data encryption key of a stored blob, under a key
// encryption key (KEK) that does not lie beside them.
//
// It is not for bulk data, it stores nothing, and it knows no type of keylife's: bytes go in and
// bytes come out. So far it holds [Software] only, which keeps one code path for mounts without an
// HSM. Wrappers over PKCS#11 tokens will stand beside it, write the same format with suites of their
// own, and pass the same conformance suite, hsmtest.
//
// Invariants:
//
//   - What is wrapped names its KEK, so that a missing KEK is told from damage.
//   - Wrapped bytes open under the associated data they were made with, and under no other. A change
//     to any byte of them is noticed.
//   - A failure to open is either [ErrCorrupt] or [ErrKEKMissing], which no retry heals, or else says
//     nothing about the data.
//   - No error holds a secret, and a wrapper never prints its key.
package hsm
