// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package policy is what an author says of keys: a [Document] of fields, revisions of it, each a [Policy], the rules that each
// field has to hold, and the rules that a revision puts in force for a key.
//
// It is not for what becomes of a key under these rules, which package lifecycle decides, nor for storage or requests: it does
// no I/O, reads no clock and draws no random numbers.
//
// A field is one row (fields_*.go) beside its place in the document. The schema of the API, reading and writing of requests and
// of HCL, the canonical JSON and its hash, the stored record, the differences of a plan and the tables of docs/policies.md all
// come from the rows.
//
// Invariants:
//   - revisions are immutable and never share lists or maps with their maker;
//   - the hash of a document never changes: a field that is new is left out of it while it has its default.
package policy
