// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

// PageSize is pageSize.
const PageSize = pageSize

// Errors that callers outside cannot match and need not.
var (
	ErrNoKeyring = errNoKeyring
)

// Trust makes the store certain of what it reads, as it is after a write.
func Trust(s *Store) { s.doubts.settle(s.doubts.raised()) }

// Held is how many locks cost memory now.
func Held(s *Store) int {
	n := 0
	for _, l := range []*locks{&s.keys, &s.policies, &s.mount} {
		l.mu.Lock()
		n += len(l.held)
		l.mu.Unlock()
	}
	return n
}
