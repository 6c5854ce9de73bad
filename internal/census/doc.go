// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package census counts the keys and versions of a mount by what they are, without reading them for that: a round of looks over all
// keys, which somebody else makes for another reason, is whole when it ends, and from then on each commit adds what it changed.
//
// What follows from a record alone, type, state and planned destruction, is counted as the records say. Whether a key drifts depends
// on the time and on its policy, too: it is counted as it was when the key was looked at or changed last.
//
// The package reads and stores nothing. The caller sees to it that a key is looked at, and a commit is told, while no other
// commit on that key runs.
package census
