// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// pool lends sessions: the one that came back last goes out first, so that the others may be closed by the token for being
// idle, and callers wait in the order they came. It opens and closes none.
type pool struct {
	clock Clock

	mu      sync.Mutex
	size    int // how many may be out
	full    int // how many may be out at the most
	shrunk  time.Time
	out     int
	stuck   int // of those that are out: how many are with a call that hangs
	closed  bool
	epoch   uint64
	idle    []cryptoki.Session // of this epoch
	waiting []chan error       // each gets a turn, or the reason why not
}

// regrowth is how long a pool stays as small as the token made it.
const regrowth = 30 * time.Second

// acquire takes the right to a session.
func (p *pool) acquire(ctx context.Context, limit time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timeout, stop := after(p.clock, limit)
	defer stop()
	turn := p.queue()
	select {
	case err := <-turn:
		return err
	case <-timeout:
		p.forget(turn)
		return errBusy
	case <-ctx.Done():
		p.forget(turn)
		return ctx.Err()
	}
}

func (p *pool) queue() chan error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grow()
	turn := make(chan error, 1)
	p.waiting = append(p.waiting, turn)
	p.serve()
	return turn
}

// grow tries whether the token gives one session more than it did a while ago: others may have used them.
func (p *pool) grow() {
	if p.size < p.full && p.clock.Now().Sub(p.shrunk) >= regrowth {
		p.size++
		p.shrunk = p.clock.Now()
	}
}

// serve gives those who wait what they wait for, or the reason not to wait.
func (p *pool) serve() {
	for len(p.waiting) > 0 {
		var err error
		switch {
		case p.closed:
			err = errClosed
		case p.isStuckLocked():
			err = errHung
		case p.out < p.size:
			p.out++
		default:
			return
		}
		p.waiting[0] <- err
		p.waiting = p.waiting[1:]
	}
}

// forget gives up waiting. A turn that came meanwhile goes to the next.
func (p *pool) forget(turn chan error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, turn); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	} else if <-turn == nil {
		p.out--
		p.serve()
	}
}

func (p *pool) isStuckLocked() bool { return p.stuck > 0 && p.stuck >= p.size }

// pop returns an idle session of an epoch, or nil.
func (p *pool) pop(epoch uint64) cryptoki.Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch != epoch || len(p.idle) == 0 {
		return nil
	}
	last := len(p.idle) - 1
	s := p.idle[last]
	p.idle = p.idle[:last]
	return s
}

// push keeps an idle session, unless its epoch is over.
func (p *pool) push(s cryptoki.Session, epoch uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.epoch != epoch {
		return false
	}
	p.idle = append(p.idle, s)
	return true
}

// release gives the right to a session back.
func (p *pool) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	p.serve()
}

// shrink gives the right to a session back that the token did not open (CKR_SESSION_COUNT), and lends no more than are out
// now. It reports whether others are out, which can be waited for.
func (p *pool) shrink() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	p.size, p.shrunk = max(1, min(p.size, p.out)), p.clock.Now()
	others := p.out > 0
	p.serve()
	return others
}

// hang counts calls that hang. Where all sessions are with such calls, there is nothing to wait for.
func (p *pool) hang(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stuck += n
	p.serve()
}

func (p *pool) isStuck() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isStuckLocked()
}

// flush ends the epoch, and returns its sessions that are idle.
func (p *pool) flush() []cryptoki.Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.idle
	p.idle, p.epoch = nil, 0
	return idle
}

// begin begins an epoch.
func (p *pool) begin(epoch uint64, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch, p.size, p.full = epoch, size, size
	p.serve()
}

// close lends no more.
func (p *pool) close() []cryptoki.Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.serve()
	return idle
}
