// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package ledger answers what an auditor asks of the custody records: the history of a key, all records to keep elsewhere,
// signed checkpoints, whether the records are whole, and which act changed a version last. It writes no records of acts; it
// reads those that the store keeps with every act, through ports of its own.
//
// History and the last change are reading alone: they write nothing and wait for nobody. An act that was cut short has a
// record of its beginning there and none of its end, until an act on the key, a checkpoint or a verification settles it.
package ledger
