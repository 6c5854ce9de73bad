// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observe

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// A ChainView is what of a chain of custody was looked at. What one view shows says nothing of the other.
type ChainView int

// The views.
const (
	ChainEnd     ChainView = iota // its end, held against the record of its subject: by acts, the scrub and verification
	ChainRecords                  // all of its records: by verification
)

// chains are the chains of custody that are known to be broken, and how far a round of checkpoints is.
type chains struct {
	mu     sync.Mutex
	broken map[string]map[ChainView]bool
	next   string    // the last chain of the page before; the round goes on behind it
	began  time.Time // the checkpoint of the first page; zero: no round has begun
}

// JudgeChain notes what somebody who has read a chain of custody from storage found: whether that view of it is sound.
func (o *Observer) JudgeChain(name string, view ChainView, sound bool) {
	c := &o.chains
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken[name][view] != sound {
		return // known
	}
	switch {
	case !sound && c.broken == nil:
		c.broken = map[string]map[ChainView]bool{name: {view: true}}
	case !sound && c.broken[name] == nil:
		c.broken[name] = map[ChainView]bool{view: true}
	case !sound:
		c.broken[name][view] = true
	default:
		if delete(c.broken[name], view); len(c.broken[name]) == 0 {
			delete(c.broken, name)
		}
	}
	o.showCustody(o.Board.Custody.Get().Checkpoint)
}

// BrokenChains returns the names of the chains that are known to be broken, in alphabetical order.
func (o *Observer) BrokenChains() []string {
	o.chains.mu.Lock()
	defer o.chains.mu.Unlock()
	return slices.Sorted(maps.Keys(o.chains.broken))
}

// CheckpointMade notes a page of a round of checkpoints: that of the chains behind after, of which next is the last; empty:
// it is the last page. A round is as old as its first page.
func (o *Observer) CheckpointMade(at time.Time, after, next string) {
	c := &o.chains
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case after == "":
		c.began = at
	case after != c.next:
		c.began = time.Time{} // chains between the pages were left out
	}
	if c.next = next; next == "" && !c.began.IsZero() {
		o.showCustody(c.began)
		c.began = time.Time{}
	}
}

// showCustody replaces the part of the board. The caller holds the lock.
func (o *Observer) showCustody(checkpoint time.Time) {
	o.Board.Custody.Set(Custody{Broken: len(o.chains.broken), Checkpoint: checkpoint})
}
