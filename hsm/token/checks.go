// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"errors"
	"sync"
	"time"
)

// checks are the calls of [Token.Check] that nobody asks for. They begin with the first use of the token, and end with
// [Token.Close]. Where the token is away they come as often as it is recovered, so that it is back soon for who does not use it.
type checks struct {
	mu       sync.Mutex
	interval time.Duration // 0: there are none
	stop     func() bool   // of the next one; nil: they have not begun
	next     time.Time
	ended    bool
	cancel   context.CancelFunc // of the one that is under way
	running  sync.WaitGroup
}

// SetHealthInterval changes how often the token is checked.
func (t *Token) SetHealthInterval(d time.Duration) {
	c := &t.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.interval
	c.interval = d
	if was != d && c.stop != nil && c.stop() {
		t.scheduleLocked(d)
	}
}

// beginChecks begins the checks, unless they have begun.
func (t *Token) beginChecks() {
	c := &t.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop == nil {
		t.scheduleLocked(c.interval)
	}
}

// checkSoon has the next check come as soon as it makes sense for a token that is away.
func (t *Token) checkSoon() {
	pause := t.pause()
	c := &t.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil && t.registry.clock.Now().Add(pause).Before(c.next) && c.stop() {
		t.scheduleLocked(pause)
	}
}

// scheduleLocked has the next check come after a while. The caller holds the lock.
func (t *Token) scheduleLocked(after time.Duration) {
	c := &t.checks
	if c.ended || c.interval <= 0 {
		return
	}
	c.next = t.registry.clock.Now().Add(after)
	c.stop = t.registry.clock.AfterFunc(after, t.check)
}

// check makes a check, and has the next one come.
func (t *Token) check() {
	c := &t.checks
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.cancel = cancel
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()

	err := t.Check(ctx)
	after := c.every()
	if err != nil {
		after = t.pause()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t.scheduleLocked(after)
}

// pause is the time to the next check: the interval or, where the token is away, what is left of the pause before the next
// recovery. A PIN that was rejected or a key that is missing is somebody else's to put right.
func (t *Token) pause() time.Duration {
	h, interval := t.Health(), t.checks.every()
	if h.State != Unavailable && h.State != Degraded {
		return interval
	}
	pause := t.config.MaxBackoff
	if left := h.Next.Sub(t.registry.clock.Now()); left > 0 {
		pause = min(pause, left)
	}
	return min(pause, interval)
}

// end stops the checks, and waits for the one that is under way.
func (c *checks) end() {
	c.mu.Lock()
	c.ended = true
	if c.stop != nil {
		c.stop()
	}
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	c.running.Wait()
}

func (c *checks) every() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.interval
}

func (c *checks) isOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stop != nil && !c.ended && c.interval > 0
}

// Away says why the token is known to work for nobody at the moment, or returns nil: then it may be asked. It asks nothing
// itself; checks find out when the token is back. Without checks it is nil.
func (t *Token) Away() error {
	if !t.checks.isOn() {
		return nil
	}
	h := t.Health()
	switch h.State {
	case Unavailable:
		t.checkSoon()
		return unavailable(errors.New(h.LastError))
	case PINRejected:
		return rejection(errRejectedBefore)
	}
	return nil
}
