// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package lifecycle is the pure core of keylife: what a key is, which states its versions are in, what each state
// permits, and what is to be done now under a policy ([Plan]).
//
// It is not for storage, cryptography or requests: it does no I/O, reads no clock and draws no random numbers, and beside the
// standard library it imports only packages that are as pure. Everything it needs comes in by argument and everything it
// decides goes out as a value, so the same decision can be tested, replayed after a crash and explained to an operator.
//
// Invariants:
//   - values are replaced, never edited: a method that changes a [Key] returns a new one;
//   - version numbers only grow and are never given twice ([Key.Latest]);
//   - a key has at most one active version, [Key.Primary]: none only where it was suspended, reported as compromised
//     without a successor, or lapsed;
//   - nothing outside this package compares states.
//
// Terms follow NIST SP 800-57 Part 1 Rev 5, sections 7 (key states) and 5.3.6 (cryptoperiods).
package lifecycle
