// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"
	"math"
	"sync"

	"golang.org/x/sync/semaphore"
)

// locks is a set of read-write locks by name. A name costs memory only while someone holds or waits for it, and two
// names never share a lock, so a slow write of one key holds up no other. Whoever waits gives up with its context.
type locks struct {
	mu   sync.Mutex
	held map[string]*lock
}

// lock is a read-write lock: a reader takes one of its shares, a writer all of them.
type lock struct {
	*semaphore.Weighted
	users   int
	writers uint64 // how many writers have had it since somebody began to use it; for writers alone
}

const allShares = math.MaxInt64

// exclusive locks the name and returns what unlocks it. The error is that of the context.
func (l *locks) exclusive(ctx context.Context, name string) (unlock func(), err error) {
	return l.acquire(ctx, name, allShares)
}

// shared locks the name against exclusive holders and returns what unlocks it. The error is that of the context.
func (l *locks) shared(ctx context.Context, name string) (unlock func(), err error) {
	return l.acquire(ctx, name, 1)
}

func (l *locks) acquire(ctx context.Context, name string, shares int64) (unlock func(), err error) {
	k := l.take(name)
	if err := k.Acquire(ctx, shares); err != nil {
		l.release(name, k)
		return nil, fmt.Errorf("wait for the writer of %q: %w", name, err)
	}
	if shares == allShares {
		k.writers++
	}
	return func() { k.Release(shares); l.release(name, k) }, nil
}

// turn is a writer's use of a lock, which the writer may pause. Between two times of holding it the lock is not forgotten, so
// that the writer learns whether another one had it.
type turn struct {
	of      *locks
	name    string
	lock    *lock
	holds   bool
	writers uint64 // of the lock, this one included
}

// turn begins to use the lock of a name, which it does not hold yet.
func (l *locks) turn(name string) *turn { return &turn{of: l, name: name, lock: l.take(name)} }

// hold waits for the lock. Alone means that no other writer had it since this one had. The error is that of the context.
func (t *turn) hold(ctx context.Context) (alone bool, err error) {
	if err := t.lock.Acquire(ctx, allShares); err != nil {
		return false, fmt.Errorf("wait for the writer of %q: %w", t.name, err)
	}
	t.holds = true
	t.lock.writers++
	alone = t.writers > 0 && t.lock.writers == t.writers+1
	t.writers = t.lock.writers
	return alone, nil
}

// pause lets others have the lock.
func (t *turn) pause() {
	if t.holds {
		t.lock.Release(allShares)
		t.holds = false
	}
}

// end ends the use of the lock.
func (t *turn) end() {
	t.pause()
	t.of.release(t.name, t.lock)
}

func (l *locks) take(name string) *lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[string]*lock{}
	}
	k := l.held[name]
	if k == nil {
		k = &lock{Weighted: semaphore.NewWeighted(allShares)}
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
