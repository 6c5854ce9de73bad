// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package tokens is how the mounts of a process reach hardware security modules: which PKCS#11 libraries the operator of the
// process lets them use ([Host]), and what is configured of a mount's token ([Settings]).
//
// It keeps no key (keyring) and stores nothing (store).
//
// Invariants:
//   - a library is named by an alias of the operator's, never by a path that a request has: to load a library is to run it;
//   - a PIN comes from the settings, from an environment variable whose name begins with [PINEnvPrefix], or from a file below
//     the operator's folder: a request must not be able to ask for other variables or files;
//   - no error holds a PIN, and none is printed.
package tokens
