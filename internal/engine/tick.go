// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// What one tick may do. Vault calls the tick of every mount once a minute; what is left over is done by the next.
const (
	tickTime        = 20 * time.Second
	tickKeyTime     = 10 * time.Second // for one key; what it holds up waits for the next tick
	tickKeys        = 5000             // keys looked at because they are due
	tickReindexes   = 5000             // keys put on the due index again because their policy changed
	reindexTurn     = 100              // of them, keys of one policy before the next one has its turn
	tickScrub       = 32               // keys whose due index entry is checked
	tickSteps       = 16               // changes of state of one key
	tickRelocations = 64               // keys whose material is moved, some versions of each
)

// followFor is how long after the last tick the next one asks for the minutes that have passed, rather than for the
// whole due index.
const followFor = time.Hour

// clock is what a tick remembers for the next one. It is a shortcut: without it the tick reads the whole due index.
type clock struct {
	running       sync.Mutex
	last          time.Time // minute up to which the due index has been worked off; zero: unknown
	lastRelocated string    // key whose material was moved last
	shown         progress
	guard         atomic.Pointer[lifecycle.Clock] // what the clock guard remembers, as the last tick had it; nil: none ran yet
}

// Report says what a tick did.
type Report struct {
	Rotated, Failed, Overdue     int
	RolledBack                   int // promoted versions that failed a check
	Moved                        int // versions and keys that changed their state
	Erased, Relocated, Reindexed int
	Repaired                     int
	Frozen                       string // why nothing is archived, retired or destroyed; empty: it is
	Unfinished                   bool   // something is left that is due now
}

// Tick does what is due: it completes acts that were cut short, rotates the keys that are due, and checks a few
// entries of the due index. It is idempotent and bounded in time and number; one failing key stops no other. The
// error is of what is not about a single key.
func (e *Engine) Tick(ctx context.Context, r Repo) (Report, error) {
	if !e.clock.running.TryLock() {
		return Report{}, nil
	}
	defer e.clock.running.Unlock()
	t := &tick{Engine: e, r: r, started: e.now()}
	defer e.clock.shown.begin(t)()
	err := errors.Join(t.watchClock(ctx), t.erase(ctx), t.relocatePending(ctx), t.storeDenied(ctx), t.reindexPolicies(ctx),
		t.workOffDue(ctx), t.scrubIndex(ctx))
	e.log.Debug("tick", "rotated", t.Rotated, "moved", t.Moved, "failed", t.Failed, "rolled_back", t.RolledBack, "overdue", t.Overdue, "erased", t.Erased,
		"settled", t.Relocated, "rescheduled", t.Reindexed, "repaired", t.Repaired, "unfinished", t.Unfinished)
	return t.Report, err
}

// tick is one run.
type tick struct {
	*Engine
	Report
	r       Repo
	started time.Time
	seen    int
	request bool // on behalf of a request, that has not asked the clock guard: what is irreversible is left to the next tick
}

// spent reports whether the tick has used up its time, or Vault its patience.
func (t *tick) spent(ctx context.Context) bool {
	return ctx.Err() != nil || t.now().Sub(t.started) > tickTime
}

// workOffDue works off the due index, oldest minute first.
func (t *tick) workOffDue(ctx context.Context) error {
	minutes, err := t.minutes(ctx)
	for _, minute := range minutes {
		if t.full(ctx) {
			break
		}
		err = errors.Join(err, t.workOff(ctx, minute))
	}
	t.clock.last = t.started.Truncate(time.Minute)
	if t.Unfinished || err != nil {
		t.clock.last = time.Time{} // the next tick starts from the whole index
	}
	return err
}

// full reports whether the tick has done what one tick may, and notes that something is left.
func (t *tick) full(ctx context.Context) bool {
	full := t.seen >= tickKeys || t.spent(ctx)
	t.Unfinished = t.Unfinished || full
	return full
}

// minutes returns the minutes of the due index that have come. The last one worked off comes again, for keys that were
// not due yet when it was young, and the one before it, for acts that decided on it before it was worked off and
// committed after.
func (t *tick) minutes(ctx context.Context) ([]time.Time, error) {
	return dueMinutes(ctx, t.r, t.clock.last, t.started)
}

// dueMinutes returns the minutes of the due index from the one before last to now.
func dueMinutes(ctx context.Context, r Repo, last, now time.Time) ([]time.Time, error) {
	now = now.Truncate(time.Minute)
	if last.IsZero() || now.Before(last) || now.Sub(last) > followFor {
		all, err := r.DueMinutes(ctx)
		return slices.DeleteFunc(all, func(m time.Time) bool { return m.After(now) }), err
	}
	var minutes []time.Time
	for m := last.Add(-time.Minute); !m.After(now); m = m.Add(time.Minute) {
		minutes = append(minutes, m)
	}
	return minutes, nil
}

// workOff looks at the keys listed under the minute.
func (t *tick) workOff(ctx context.Context, minute time.Time) error {
	names, err := t.r.KeysDue(ctx, minute)
	if err != nil {
		return err
	}
	for _, name := range names {
		if t.full(ctx) {
			return nil
		}
		t.seen++
		if err := t.lookAt(ctx, minute, name); err != nil {
			t.Unfinished = true
			t.log.Error("key could not be looked at", "key", name, "error", err)
		}
		t.clock.shown.set(t)
	}
	return nil
}

// lookAt does what is due for one key and moves its entry in the due index. The error means that the entry is still
// there.
func (t *tick) lookAt(ctx context.Context, minute time.Time, name string) error {
	own, cancel := context.WithTimeout(ctx, t.keyTime)
	defer cancel()
	var stale bool
	err := t.Guard(name, func() (err error) {
		stale, err = t.processKey(own, minute, name)
		return err
	})
	if stale || errors.Is(err, lifecycle.ErrNotFound) {
		return t.r.RemoveDue(ctx, minute, name)
	}
	if err == nil {
		return nil
	}
	t.Failed++
	noted := t.Guard(name, func() error { return t.noteFailure(own, name, err) })
	if noted == nil {
		return nil
	}
	if t.Guard(name, func() error { _, err := t.r.Key(own, name); return err }) == nil {
		return noted // the storage takes no write: the next tick tries again
	}
	// The record cannot be read, or not in time: put the key off without it.
	return t.r.PostponeDue(ctx, minute, t.started.Add(10*time.Minute), name)
}

// alone does something to one key, which neither its panic nor a storage that does not answer lets disturb the others.
func (t *tick) alone(ctx context.Context, name string, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, t.keyTime)
	defer cancel()
	return t.Guard(name, func() error { return do(ctx) })
}
