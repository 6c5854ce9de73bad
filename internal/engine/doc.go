// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package engine holds the use cases of keylife: what happens when a key is created, rotated, used or deleted, when
// a policy is written, and once a minute. It brings the pure decisions of lifecycle, the cryptography of envelope and
// the storage behind [Repo] together.
//
// It is not for HTTP, Vault requests or status codes (the root package), nor for storage layout (store): it imports
// neither, nor the HSM, and gets them through the interfaces it declares.
//
// Invariants:
//   - a change of a key is one commit of [Repo]; after any failed one, what is cached of the key is dropped;
//   - a version protects nothing before it is committed, so a ciphertext always names a committed version;
//   - encrypting and decrypting with a key in use costs no storage call;
//   - no key material, plaintext or ciphertext is in an error or a log line.
package engine
