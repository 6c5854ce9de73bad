// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import "slices"

// The fields of pages.
var (
	After       = Text("after", "List the names behind this one, in alphabetical order; it need not exist.").Query()
	AfterNumber = Int("after", "Start behind this number; it need not exist. 0 or empty: at the beginning.").Query().EmptyIsZero()
	Limit       = Int("limit", "At most so many. 0: all, or as many as a page usually has.").Query()
	Keys        = Strings("keys", "Names in alphabetical order.")
)

const mustNotBeNegative = "must not be negative"

// limitOf reads the size of a page of a LIST; 0: all.
func limitOf(from From) (int, error) {
	limit := Limit.Get(from)
	if limit < 0 {
		return 0, InvalidField(Limit.Name, limit, mustNotBeNegative)
	}
	return limit, nil
}

// PageSize reads the size of a page of a READ.
func PageSize(from From, usual, most int) (int, error) {
	limit := Limit.Get(from)
	switch {
	case limit < 0 || limit > most:
		return 0, Invalidf("%s: %d: must be between 0 and %d", Limit.Name, limit, most)
	case limit == 0:
		return usual, nil
	}
	return limit, nil
}

// Behind returns which of the names, in alphabetical order, come behind one that need not be there.
func Behind(names []string, after string) []string {
	start, found := slices.BinarySearch(names, after)
	if found {
		start++
	}
	return names[start:]
}

// FirstNumber reads behind which number a page begins.
func FirstNumber(from From) (int, error) {
	after := AfterNumber.Get(from)
	if after < 0 {
		return 0, InvalidField(AfterNumber.Name, after, mustNotBeNegative)
	}
	return after, nil
}

// PageOfNumbers returns the first and the last of the numbers 1 to last that a LIST asks for; first is above last where
// there are none.
func PageOfNumbers(from From, last int) (first, end int, err error) {
	after, err := FirstNumber(from)
	if err != nil {
		return 0, 0, err
	}
	limit, err := limitOf(from)
	if err != nil {
		return 0, 0, err
	}
	after = min(after, last)
	if rest := last - after; limit == 0 || limit > rest {
		limit = rest
	}
	return after + 1, after + limit, nil
}

// KeyInfo describes, in the answer of a LIST, what is known of each name. `vault list -detailed` prints it as a table.
func KeyInfo(description string) Field[map[string]any] { return Object("key_info", description) }
