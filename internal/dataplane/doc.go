// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package dataplane encrypts and decrypts with keys that are there. It holds what a mount keeps in memory for that:
// snapshots of keys and policies, ciphers, meters against usage limits, and counts of denied uses.
//
// It changes no key. Where a version has reached its limit it asks for a successor, and where a key is missing for one,
// through the ports [Scheduler] and [KeyMaker]; everything else that it needs of a request is in [Storage].
//
// Invariants:
//   - encrypting and decrypting with a key in use costs no storage call;
//   - one request sees one snapshot of its key, and begins anew where the key was changed under it;
//   - many callers of a version that is not in memory cause one load, and one unwrap, of it;
//   - no lock is held over a call of storage or of a wrapper;
//   - no key material, plaintext or ciphertext is in an error or a log line.
package dataplane
