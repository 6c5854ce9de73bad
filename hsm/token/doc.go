// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package token keeps a PKCS#11 token reachable: it finds it, logs in, lends sessions, bounds the time of each call, and gets
// the token back after restarts, lost logins, removals and device errors. It knows no keys: what is done in a session, and
// how to find out that the token really works (the probe), are functions that are given to it.
//
// A [Registry] stands for the process. The mounts of a process share one library for each name, and one connection, login and
// pool of sessions for each token, whatever they select it by. One PIN is used for a token: a mount with another one is
// refused.
//
// Invariants:
//
//   - Opening a [Token] calls no library. The first [Token.Run] does.
//   - No call holds its caller beyond its deadline. What hangs keeps a goroutine, and a session that is not lent again.
//   - C_Finalize and C_Initialize run alone, and never while a call hangs (PKCS#11 section 5.4). C_Logout is never called.
//   - A session in which a call failed is closed, not lent again.
//   - A PIN that was rejected is not tried again before it is configured anew, however many callers there are.
//   - Handles of objects mean something in the epoch that a function is given, and in no other.
//   - Errors of the data do not disturb the connection. No error and no [Health] holds a secret.
//
// The decisions of the recovery are those of docs/adr/0050.
package token
