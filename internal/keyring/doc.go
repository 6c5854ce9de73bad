// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package keyring holds the keys that wrap keys: of a mount, by purpose. It makes them for a new mount, turns what is
// stored of them into wrappers of package hsm, tells how these fare, and closes them.
//
// It is not for material (envelope), and it writes no storage format (store): it declares the [Store] it needs.
//
// Invariants:
//   - the wrappers are made once, whoever asks at the same time, and anew after [Keyring.Forget], also where that comes
//     while they are being made;
//   - nothing is made, and no wrapper asked for anything, before a request needs one: a token that is away neither keeps a
//     mount from starting nor Vault from unsealing;
//   - a wrapper that is away, or does not answer in time, is told from one that refuses: the error is
//     [envelope.ErrUnavailable].
package keyring
