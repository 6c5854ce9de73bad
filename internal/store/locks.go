// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import "sync"

// locks is a set of read-write locks by name. A name costs memory only while someone holds or waits for it, and two
// names never share a lock, so a slow write of one key holds up no other.
type locks struct {
	mu   sync.Mutex
	held map[string]*lock
}

type lock struct {
	sync.RWMutex
	users int
}

// exclusive locks the name and returns what unlocks it.
func (l *locks) exclusive(name string) (unlock func()) {
	k := l.take(name)
	k.Lock()
	return func() { k.Unlock(); l.release(name, k) }
}

// shared locks the name against exclusive holders and returns what unlocks it.
func (l *locks) shared(name string) (unlock func()) {
	k := l.take(name)
	k.RLock()
	return func() { k.RUnlock(); l.release(name, k) }
}

func (l *locks) take(name string) *lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[string]*lock{}
	}
	k := l.held[name]
	if k == nil {
		k = &lock{}
		l.held[name] = k
	}
	k.users++
	return k
}

func (l *locks) release(name string, k *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.held, name)
	}
}
