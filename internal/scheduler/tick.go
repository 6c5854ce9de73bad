// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Report says what a tick did.
type Report struct {
	Rotated, Failed, Overdue     int
	Deferred                     int // keys that wait for a wrapper that is away
	RolledBack                   int // promoted versions that failed a check
	Moved                        int // versions and keys that changed their state
	Erased, Relocated, Reindexed int
	Repaired                     int
	Rewrapped                    int    // versions wrapped with another key encryption key
	Frozen                       string // why nothing is archived, retired or destroyed; empty: it is
	Unfinished                   bool   // something is left that is due now
	Storage                      error  // of the tick's first read; nil: storage answers
}

// Tick does what is due: it completes acts that were cut short, rotates the keys that are due, and checks a few
// entries of the due index. It is idempotent and bounded in time and number; one failing key stops no other. The
// error is of what is not about a single key.
func (s *Session) Tick(ctx context.Context) (Report, error) {
	if !s.running.TryLock() {
		return Report{}, nil
	}
	defer s.running.Unlock()
	t := &tick{Session: s, started: s.Now(), left: backlog{}}
	t.acts = t.acts.OneTick()
	defer s.shown.begin(t)()
	err := errors.Join(t.watchClock(ctx), t.erase(ctx), t.relocatePending(ctx), t.settleObjects(ctx), t.storeDenied(ctx), t.reindexPolicies(ctx),
		t.workOffDue(ctx), t.showRotation(ctx), t.scrubIndex(ctx), t.takeCensus(ctx), t.rewrap(ctx), t.scrubIntegrity(ctx))
	s.Log.Debug("tick", "rotated", t.Rotated, "moved", t.Moved, "failed", t.Failed, "deferred", t.Deferred, "rolled_back", t.RolledBack, "overdue", t.Overdue, "erased", t.Erased,
		"settled", t.Relocated, "rescheduled", t.Reindexed, "repaired", t.Repaired, "rewrapped", t.Rewrapped, "unfinished", t.Unfinished)
	t.observed(err)
	return t.Report, err
}

// observed puts on the board how the tick went.
func (t *tick) observed(err error) {
	last := t.Observe.Board.Tick.Get().LastSuccess
	now := t.Now()
	if err == nil {
		last = now
	}
	t.Observe.Board.Tick.Set(observe.Tick{LastSuccess: last, Took: now.Sub(t.started), Unfinished: t.Unfinished, Frozen: t.Frozen})
}

// tick is one run.
type tick struct {
	*Session
	Report
	started time.Time
	seen    int
	waiting int // of them, keys that were deferred
	left    backlog
}

// processor is what the tick does to single keys with.
func (t *tick) processor() processor {
	return processor{Session: t.Session, report: &t.Report, started: t.started, frozen: t.Frozen != "", asked: true}
}

// spent reports whether the tick has used up its time, or Vault its patience.
func (t *tick) spent(ctx context.Context) bool {
	return ctx.Err() != nil || t.Now().Sub(t.started) > tickTime
}

// workOffDue works off the due index, oldest minute first.
func (t *tick) workOffDue(ctx context.Context) error {
	minutes, err := dueMinutes(ctx, t.store.Due, t.last, t.started)
	for i, minute := range minutes {
		if t.full(ctx) {
			err = errors.Join(err, t.countLeft(ctx, minutes[i:]))
			break
		}
		err = errors.Join(err, t.workOff(ctx, minute))
	}
	t.last = t.started.Truncate(time.Minute)
	if t.Unfinished || err != nil {
		t.last = time.Time{} // the next tick starts from the whole index
	}
	return err
}

// full reports whether the tick has done what one tick may, and notes that something is left.
func (t *tick) full(ctx context.Context) bool {
	full := t.seen-t.waiting >= tickKeys || t.spent(ctx) // those that wait are soon looked at, and must not hold up the others
	t.Unfinished = t.Unfinished || full
	return full
}

// dueMinutes returns the minutes of the due index that have come. The last one worked off comes again, for keys that were
// not due yet when it was young, and the one before it, for acts that decided on it before it was worked off and
// committed after.
func dueMinutes(ctx context.Context, index DueIndex, last, now time.Time) ([]time.Time, error) {
	now = now.Truncate(time.Minute)
	if last.IsZero() || now.Before(last) || now.Sub(last) > followFor {
		all, err := index.DueMinutes(ctx)
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
	names, err := t.store.Due.KeysDue(ctx, minute)
	if err != nil {
		return err
	}
	for i, name := range names {
		if t.full(ctx) {
			t.left.wait(minute, names[i:]...)
			return nil
		}
		t.seen++
		delete(t.left, name) // of a minute before, in which it came to be due again
		if err := t.lookAt(ctx, minute, name); err != nil {
			t.left.wait(minute, name)
			t.Unfinished = true
			t.Log.Error("key could not be looked at", "key", name, "error", err)
		}
		t.shown.set(t)
	}
	return nil
}

// lookAt does what is due for one key and moves its entry in the due index. The error means that the entry is still
// there.
func (t *tick) lookAt(ctx context.Context, minute time.Time, name string) error {
	own, cancel := context.WithTimeout(ctx, t.KeyTime)
	defer cancel()
	var done processed
	p := t.processor().since(t.Now())
	err := t.acts.Guard(name, func() (err error) {
		done, err = p.processKey(own, minute, name)
		return err
	})
	if err == nil && !done.due.IsZero() && !done.due.After(t.Now()) {
		t.left.wait(done.due.Truncate(time.Minute), name)
	}
	if done.stale || errors.Is(err, refusal.ErrNotFound) {
		return t.store.Due.RemoveDue(ctx, minute, name)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, envelope.ErrUnavailable) {
		t.waiting++
		t.left.wait(minute, name)
		t.deferKey(name, err)
		return nil
	}
	t.Failed++
	return p.putOff(ctx, minute, name, err)
}

// deferKey leaves a key to the next tick, because a wrapper is away or the key is changed all the time: neither is a failure of
// the key. Nothing is written, its entry in the due index stays.
func (t *tick) deferKey(name string, err error) {
	if t.Deferred == 0 {
		t.Log.Warn("deferred: keys wait for the wrapper of key material; the next tick tries again", "first", name, "error", err)
	}
	t.Deferred++
	t.Unfinished = true
}

// alone does something to one key, which neither its panic nor a storage that does not answer lets disturb the others.
func (t *tick) alone(ctx context.Context, name string, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, t.KeyTime)
	defer cancel()
	return t.acts.Guard(name, func() error { return do(ctx) })
}
