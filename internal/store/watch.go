// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import "github.com/keylife/vault-plugin-keylife/internal/lifecycle"

// Watcher is told of every commit on a key, while the key's lock is held. It must not call the store, and keeps no key.
type Watcher interface {
	// Committed tells what a key was and is; nil: there was, or is, none.
	Committed(name string, was, is *lifecycle.Key)
	// Doubted tells that the outcome of a commit is unknown, and what the key was before it; nil: there was none.
	Doubted(name string, was *lifecycle.Key)
}

// Watch says who is told of commits. It is for before the first request.
func (s *Store) Watch(w Watcher) { s.watcher = w }

// tell tells the watcher what became of an act on a key. The wrapping key is none of those that are listed.
func (s *Store) tell(name string, was, is *lifecycle.Key, err error) {
	switch {
	case s.watcher == nil || name == lifecycle.WrappingKey:
	case err != nil:
		s.watcher.Doubted(name, was)
	default:
		s.watcher.Committed(name, was, is)
	}
}
