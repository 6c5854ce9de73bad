// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"sync"
)

// turns lets one caller at a time have the turn of a name, in the order in which they came. A name costs memory only
// while somebody has its turn or waits for it.
type turns struct {
	mu    sync.Mutex
	queue map[string]*queue
}

type queue struct {
	turn  chan struct{} // holds one; who waits to send is served in order
	users int
}

// busy reports whether somebody has the turn of the name, or waits for it.
func (t *turns) busy(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.queue[name] != nil
}

// take waits for the turn of the name and returns what ends it. The error is that of the context.
func (t *turns) take(ctx context.Context, name string) (end func(), err error) {
	q := t.join(name)
	select {
	case q.turn <- struct{}{}:
		return func() { <-q.turn; t.leave(name, q) }, nil
	case <-ctx.Done():
		t.leave(name, q)
		return nil, ctx.Err()
	}
}

func (t *turns) join(name string) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue == nil {
		t.queue = map[string]*queue{}
	}
	q := t.queue[name]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1)}
		t.queue[name] = q
	}
	q.users++
	return q
}

func (t *turns) leave(name string, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(t.queue, name)
	}
}
