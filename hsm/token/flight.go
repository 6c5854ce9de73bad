// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"sync"
	"time"
)

// flight is work that is done once for all who need it, and not again before a pause that doubles with each failure.
type flight struct {
	clock   Clock
	chance  func() float64
	longest time.Duration

	mu       sync.Mutex
	running  *landing
	failures int
	next     time.Time
	last     error     // of the last failure
	since    time.Time // when failures began, or that there are none
}

// landing is how work ends.
type landing struct {
	task *task
	done chan struct{}
	err  error
	next time.Time // after an error: when it is tried again
}

// fly has work done, unless settled says that it is not needed, or never will be. It returns what work or settled did. k is
// the task that work runs in.
func (f *flight) fly(ctx context.Context, limit time.Duration, settled func() (bool, error), k *task, work func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l, err := f.board(settled, k, work)
	if l == nil {
		return err
	}
	timeout, stop := after(f.clock, limit)
	defer stop()
	select {
	case <-l.done:
		if l.err != nil {
			return waitError{l.next, l.err}
		}
		return nil
	case <-l.task.overdue:
		return errHung
	case <-timeout:
		return errWaiting
	case <-ctx.Done():
		return ctx.Err()
	}
}

// board joins the work that is under way, or begins it.
func (f *flight) board(settled func() (bool, error), k *task, work func() error) (*landing, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != nil {
		return f.running, nil
	}
	if done, err := settled(); done {
		return nil, err
	}
	if f.clock.Now().Before(f.next) {
		return nil, waitError{f.next, f.last}
	}
	l := &landing{task: k, done: make(chan struct{})}
	f.running = l
	go func() {
		l.err = work()
		f.land(l)
	}()
	return l, nil
}

func (f *flight) land(l *landing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = nil
	if l.err == nil {
		if f.failures > 0 {
			f.since = f.clock.Now()
		}
		f.failures, f.next, f.last = 0, time.Time{}, nil
	} else {
		f.failLocked(l.err)
		l.next = f.next
	}
	close(l.done)
}

// fail puts the next work off as a failure of it would.
func (f *flight) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failLocked(err)
}

func (f *flight) failLocked(err error) {
	if f.failures == 0 {
		f.since = f.clock.Now()
	}
	f.last = err
	f.next = f.clock.Now().Add(backoff(f.failures, f.longest, f.chance))
	f.failures++
}

// reset forgets failures: what they came from has changed.
func (f *flight) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures, f.next, f.last = 0, time.Time{}, nil
}

// pause tells whether the last work failed, and before when it is not done again.
func (f *flight) pause() (failing bool, next time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failures > 0, f.next
}

// backoff doubles with each failure from 50 ms to longest, and is shortened by chance to not less than half of it, so that
// the nodes of a cluster do not all come at once.
func backoff(failures int, longest time.Duration, chance func() float64) time.Duration {
	d := minBackoff
	for ; failures > 0 && d < longest; failures-- {
		d *= 2
	}
	d = min(d, longest)
	return d - time.Duration(chance()*float64(d)/2)
}
