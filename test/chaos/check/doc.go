// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package check holds a history, which is what clients of a mount were told, against what is there in the end, and says what does not
// fit together. It shares no code with the engine: what states and transitions there are it knows by small tables of its own
// (docs/lifecycle.md), custody it reads and hashes itself.
//
// How it judges. Each request has a reason that no other has, and custody keeps the reason: so it is known which record is whose. The
// records of a key are in one order, which is the order of its acts. Each act happened between the sending of its request and the
// answer, or any time later where there was none; what is known of its neighbours narrows that ([life.windows]). So for any moment it
// is known in which states the key can have been, and a use, or the key as it is shown in the end, has to fit one of them. What the
// order of the answers leaves open is not held against the mount.
//
// Where a snapshot was restored, what was sent before it was taken and acknowledged holds as ever; what was sent or answered between
// then and the restore may be gone; what was sent afterwards holds.
//
// Vault's active node answers from memory without asking the others. One that was stopped or cut off and does not know yet that another
// one leads answers uses by states that were in force when it was last in touch. So a use during [history.Away] is held against all
// states since its beginning. Acts are not: they need the others.
package check
