// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package keks is what operators and the tick do with the mount's token: configure it, and make, rotate, retire and destroy the
// key encryption keys on it.
//
// It wraps nothing (keyring), moves nothing from one key to another, and stores through the [Store] it declares.
//
// Invariants:
//   - one act on the token at a time in a mount; no lock of storage is held while the token is asked;
//   - a key is written down before it is made, and its record says so until it is off the token: a crash leaves a description
//     of what may be there, which the next act or tick takes off, and never a key that nobody knows;
//   - a key takes the place of another in one Put, so that there are never two active ones of a purpose, and the first key for
//     material in use and that for the archive come in one;
//   - no key is destroyed while anything may be wrapped by it, or before its time;
//   - every act but the taking off of what was never used is in custody of the mount.
package keks
