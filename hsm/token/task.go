// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// task is work in a goroutine of its own, which each call of the library may hold up no longer than limit. A call that takes
// longer cannot be stopped: the one who waits is told, the task is left alone, and hang is told of it until it returns.
type task struct {
	clock Clock
	limit time.Duration
	hang  func(n int) // +1 when a call outlives its deadline, -1 when it returns

	mu      sync.Mutex
	left    bool          // no one waits any more: no further call is begun
	overdue chan struct{} // closed with the first call that outlives its deadline
}

func newTask(c Clock, limit time.Duration, hang func(n int)) *task {
	return &task{clock: c, limit: limit, hang: hang, overdue: make(chan struct{})}
}

// launch runs work and returns what it returns. It returns before work does where a call outlives its deadline, or ctx ends.
func launch[T any](ctx context.Context, k *task, work func() T) (T, error) {
	done := make(chan T, 1)
	go func() { done <- work() }()
	var none T
	select {
	case result := <-done:
		return result, nil
	case <-k.overdue:
		return none, errDeadline
	case <-ctx.Done():
		k.leave()
		return none, ctx.Err()
	}
}

func (k *task) leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left = true
}

func (k *task) isLeft() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.left
}

// call makes a call, unless no one waits for it any more.
func (k *task) call(f func() error) error { return k.callWithin(k.limit, f) }

// callWithin is call with another limit.
func (k *task) callWithin(limit time.Duration, f func() error) error {
	if k.isLeft() {
		return errLeft
	}
	return k.within(limit, f)
}

// timed makes a call, also for a task that was left: it cleans up.
func (k *task) timed(f func() error) error { return k.within(k.limit, f) }

func (k *task) within(limit time.Duration, f func() error) error {
	var returned, late bool // guarded by k.mu
	stop := k.clock.AfterFunc(limit, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if returned {
			return
		}
		late = true
		k.left = true
		k.hang(+1) // is known before anybody is told
		if !k.isOverdue() {
			close(k.overdue)
		}
	})
	err := f()
	stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	returned = true
	if late {
		k.hang(-1)
	}
	return err
}

func (k *task) isOverdue() bool {
	select {
	case <-k.overdue:
		return true
	default:
		return false
	}
}

// closeAll closes sessions. What it answers changes nothing.
func (k *task) closeAll(sessions ...cryptoki.Session) {
	for _, s := range sessions {
		_ = k.timed(s.Close)
	}
}
