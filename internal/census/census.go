// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package census

import (
	"sync"
	"time"
)

// Census is that of one mount, in one process. It is safe for concurrent use.
type Census struct {
	mu    sync.Mutex
	total tally     // as of the end of the last whole round, with what was committed since
	at    time.Time // the end of that round; zero: none has come to its end
	round *round    // under way; nil: none is

	drifting drifting
	stored   stored
}

// New returns a census that knows nothing.
func New() *Census { return &Census{total: newTally(), drifting: drifting{keys: map[string]drift{}}} }

// round is a look at all keys, in order of their names.
type round struct {
	tally
	cursor string              // the last name that was passed
	ahead  map[string]struct{} // names after it that are counted already: of keys that were made meanwhile
}

// has reports whether the round has come to a key already: then a commit on it changes what was counted.
func (r *round) has(name string) bool {
	_, ahead := r.ahead[name]
	return ahead || name <= r.cursor
}

// Begin begins a round. The caller passes all names of then, in order: with [Census.Look], or with [Census.Pass].
func (c *Census) Begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.round = &round{tally: newTally(), ahead: map[string]struct{}{}}
	c.drifting.begin()
}

// Look counts a key that the round comes to.
func (c *Census) Look(name string, f *Facts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.round == nil || name <= c.round.cursor {
		return
	}
	_, counted := c.round.ahead[name]
	_, doubtful := c.round.counted[name]
	if !counted || doubtful {
		c.round.change(name, nil, f)
	}
	c.round.cursor = name
	c.drifting.set(name, f)
}

// Pass passes a name under which the round has found no key, or could not look: what is committed there is counted then.
func (c *Census) Pass(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.round == nil || name <= c.round.cursor {
		return
	}
	if _, counted := c.round.ahead[name]; !counted {
		c.round.doubt(name, nil)
	}
	c.round.cursor = name
}

// Finish ends the round, which has passed all names. Where none is under way it does nothing.
func (c *Census) Finish(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.round == nil {
		return
	}
	c.total, c.at, c.round = c.round.tally, now, nil
	c.drifting.finish()
	c.stored.early = nil
}

// Committed counts what a commit made of a key; nil: there was none, or is none any more.
func (c *Census) Committed(name string, was, is *Facts) {
	c.change(name, was == nil, func(t *tally) { t.change(name, was, is) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drifting.set(name, is)
}

// Doubt notes that a commit may have changed a key, or may still: nil: there was none. What was counted stays, until the next commit
// on the key, or round, says what is.
func (c *Census) Doubt(name string, was *Facts) {
	c.change(name, was == nil, func(t *tally) { t.doubt(name, was) })
}

// change changes what was counted of a key, where it was. One that is made now is counted though the round did not come to its name.
func (c *Census) change(name string, isMade bool, change func(*tally)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.total)
	c.stored.changed(change)
	r := c.round
	if r == nil || !isMade && !r.has(name) {
		return
	}
	if name > r.cursor {
		r.ahead[name] = struct{}{}
	}
	change(&r.tally)
}

// Forget forgets all: another node has written keys.
func (c *Census) Forget() {
	fresh := New()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total, c.at, c.round, c.drifting, c.stored = fresh.total, fresh.at, nil, fresh.drifting, stored{}
}
