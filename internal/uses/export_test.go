// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses

// Kept returns how many pairs of a key and an entity are in memory.
func (l *Ledger) Kept() int { return int(l.count.Load()) }
