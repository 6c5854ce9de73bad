// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package custody is the record of what was done to keys, in a form that a third party can check
// without trusting the mount it came from.
//
// Every act on a key writes a record that it begins, before it takes effect, and one that it ended,
// with the outcome. The records of one key name form a chain: each holds the SHA-256 of the line
// before. The chain goes on when a name is used again after deletion; the key id in the records tells
// the keys apart. A [Checkpoint] states, signed, how long each chain is and what it ends with. An
// external party keeps checkpoints and later holds an export against them with [Verify].
//
// It is not a log and not a store: it keeps nothing, reads no clock and draws no chance of its own
// choice. It does not judge whether an act was allowed. It is no audit device: reads and uses of a
// key are Vault's to audit.
//
// Invariants:
//
//   - A record is stored, exported and hashed as the same bytes. [Decode] refuses a line that is not
//     exactly what [Head.Append] would have written.
//   - What one release wrote, all later ones verify. The form of the JSON is encoding/json's; vectors
//     are committed, so that a Go release that writes it differently fails our tests, not an audit.
//   - A [SigningKey] never prints. Its seed leaves through [SigningKey.Seed] only.
//   - Nothing from the input is trusted before it is checked: lines, counts and memory are bounded.
//
// # What is not detected
//
// The chain alone is not keyed. It finds accidents and clumsy hands; who can write the storage can
// also compute a chain anew. All else rests on checkpoints that are out of that person's reach:
//
//   - Without a checkpoint: a tail that was cut off, a last record that was edited, a chain that is
//     missing as a whole, and a chain rewritten from the edited record on.
//   - With checkpoints: the same, for records newer than the newest checkpoint that states them.
//     How often checkpoints leave the mount is how much history can be lost unseen.
//   - An insider with the secret of a signing key can sign any history, from the day of the theft
//     and back. The next generation does not end this: the stolen key can sign another successor.
//     What helps is an older checkpoint that somebody else kept.
//   - An act that was never recorded, a record that was false when it was written, and wrong times.
//   - Public keys that were false when they were first trusted: pin the first by a second channel.
//   - A checkpoint that was never issued or is not presented: there is no list of checkpoints.
package custody
