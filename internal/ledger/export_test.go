// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger

// Bounded returns the ledger with other bounds of a report: of the records of a chain, and of those of the keys of a page.
func (l Ledger) Bounded(chain, page int) Ledger {
	l.bounds = bounds{chain, page}
	return l
}
