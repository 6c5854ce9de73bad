// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package uses is the ledger of what keys are used for, and by whom. It has two projections: what a version is still used for
// ([Observed]), and which entity uses which key ([Review]). It counts in memory, and [Session.Tick] stores what was counted. It
// decides nothing about keys, and cannot see who could use one.
//
// Invariants:
//   - counting neither reads nor writes what is stored, allocates nothing once a caller is known, and cannot fail a request;
//   - what is in memory is what is not stored yet, and no copy of what is: another node makes none of it stale;
//   - a use is stored at most a day after it was counted for the entity, and at most a minute after for the version, where the stored
//     time of its last use would be too early. A process that ends loses what it had not stored;
//   - where the ledger is off nothing is counted, and nothing is written.
package uses
