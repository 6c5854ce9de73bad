// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Progress is how far the running tick has come, or how the last one ended.
type Progress struct {
	Started    time.Time // zero: no tick since the start of the process
	Took       time.Duration
	Seen       int // keys looked at
	Rotated    int
	Failed     int
	RolledBack int
}

// progress is what a tick shows of itself while it runs. The status reads it, and never waits for a tick.
type progress struct {
	mu      sync.Mutex
	running bool
	last    time.Time // the tick's clock.last as it was when the tick ended
	now     Progress
}

// begin shows a tick and returns what ends it.
func (p *progress) begin(t *tick) (end func()) {
	p.mu.Lock()
	p.running = true
	p.mu.Unlock()
	p.set(t)
	return func() {
		p.set(t)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running, p.last = false, t.clock.last
	}
}

func (p *progress) set(t *tick) {
	now := Progress{
		Started: t.started, Took: t.now().Sub(t.started), Seen: t.seen, Rotated: t.Rotated, Failed: t.Failed, RolledBack: t.RolledBack,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
}

func (p *progress) get() (now Progress, running bool, last time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now, p.running, p.last
}

// RotationStatus is how the rotations of the mount stand.
type RotationStatus struct {
	Progress
	Running  bool
	Due      int  // keys that the due index lists up to now: they wait for a tick
	Complete bool // Due counts all of them
	Retrying []lifecycle.Alerted
	Stalled  []lifecycle.Alerted
	Overdue  []lifecycle.Alerted
	Stopped  []lifecycle.Alerted // enabled and cannot encrypt

	Ungoverned []Ungoverned // policies that say nothing to their keys

	Oldest   time.Time // since when the key waits that waits longest; zero: none does
	Lateness time.Duration
}

// minutesCounted bounds the minutes of the due index that the status reads: all that can have passed since a tick that
// the next one follows. A backlog of more is counted by the next status, as ticks work the oldest off first.
const minutesCounted = int(followFor/time.Minute) + 2

// RotationStatus says what is due, what a tick is doing about it, and which keys need somebody's attention. It costs a
// listing for each status, for each minute that waits and of the policies, whatever the number of keys.
func (e *Engine) RotationStatus(ctx context.Context, r Repo) (s RotationStatus, err error) {
	lists := map[lifecycle.Status]*[]lifecycle.Alerted{
		lifecycle.Retrying: &s.Retrying, lifecycle.Stalled: &s.Stalled, lifecycle.Overdue: &s.Overdue, lifecycle.Stopped: &s.Stopped,
	}
	for _, status := range lifecycle.Alerts() {
		list, err := r.Alerts(ctx, status)
		if err != nil {
			return s, err
		}
		*lists[status] = list
		if len(list) > 0 && status != lifecycle.Stopped { // which does not wait for a rotation
			s.waits(list[0].Since)
		}
	}
	if s.Ungoverned, err = e.ungoverned(ctx, r); err != nil {
		return s, err
	}
	if err := e.countDue(ctx, r, &s); err != nil {
		return s, err
	}
	if !s.Oldest.IsZero() {
		s.Lateness = max(e.now().Sub(s.Oldest), 0)
	}
	return s, nil
}

func (s *RotationStatus) waits(since time.Time) {
	if s.Oldest.IsZero() || since.Before(s.Oldest) {
		s.Oldest = since
	}
}

// countDue counts the keys that wait for a tick.
func (e *Engine) countDue(ctx context.Context, r Repo, s *RotationStatus) error {
	var last time.Time
	s.Progress, s.Running, last = e.clock.shown.get()
	minutes, err := dueMinutes(ctx, r, last, e.now())
	if err != nil {
		return err
	}
	s.Complete = len(minutes) <= minutesCounted
	for _, minute := range minutes[:min(len(minutes), minutesCounted)] {
		names, err := r.KeysDue(ctx, minute)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			s.Due += len(names)
			s.waits(minute)
		}
	}
	return nil
}
