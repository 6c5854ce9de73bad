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
	users int
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
	return func() { k.Release(shares); l.release(name, k) }, nil
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
