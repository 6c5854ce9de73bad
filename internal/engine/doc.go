// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package engine holds the acts on keys and policies: what happens when a key is created, rotated, changed or deleted, and
// when a policy is written. It brings the pure decisions of lifecycle, the cryptography of envelope and what a request can
// reach in [Storage] together. What all acts have in common, also those of the clock, is [Acts].
//
// It is not for HTTP, Vault requests or status codes (the root package), nor for storage layout (store), nor for the wrappers
// of material (keyring): it imports none of them, and gets them through the interfaces it declares.
//
// Invariants:
//   - a change of a key is one commit of [KeyStore]; after any failed one, what is remembered of the key is dropped;
//   - an act is decided under the lock of its key, with one reading of the clock, so that all it writes has one date;
//   - no lock of a key is held while a wrapper works: what an act needs of one is made between two decisions ([Prepared]);
//   - a version protects nothing before it is committed, so a ciphertext always names a committed version;
//   - no key material, plaintext or ciphertext is in an error or a log line.
package engine
