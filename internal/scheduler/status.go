// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"errors"
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
	Deferred   int // keys that wait for a wrapper that is away
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
		p.running, p.last = false, t.last
	}
}

func (p *progress) set(t *tick) {
	now := Progress{
		Started: t.started, Took: t.Now().Sub(t.started), Seen: t.seen, Rotated: t.Rotated, Failed: t.Failed, RolledBack: t.RolledBack,
		Deferred: t.Deferred,
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
	Ending   []lifecycle.Alerted // near an end that nobody automates

	Ungoverned []Ungoverned // policies that say nothing to their keys

	Oldest   time.Time // since when the key waits that waits longest; zero: none does
	Lateness time.Duration
}

// minutesCounted bounds the minutes of the due index that the status reads: all that can have passed since a tick that
// the next one follows. A backlog of more is counted by the next status, as ticks work the oldest off first.
const minutesCounted = int(followFor/time.Minute) + 2

// Status says what is due, what a tick is doing about it, and which keys need somebody's attention. It costs a
// listing for each status, for each minute that waits and of the policies, whatever the number of keys.
func (s *Session) Status(ctx context.Context) (status RotationStatus, err error) {
	lists := map[lifecycle.Status]*[]lifecycle.Alerted{
		lifecycle.Retrying: &status.Retrying, lifecycle.Stalled: &status.Stalled, lifecycle.Overdue: &status.Overdue, lifecycle.Stopped: &status.Stopped,
		lifecycle.Ending: &status.Ending,
	}
	for _, level := range lifecycle.AlertStatuses() {
		list, err := s.store.Alerts.Alerts(ctx, level)
		if err != nil {
			return status, err
		}
		*lists[level] = list
		if len(list) > 0 && level != lifecycle.Stopped && level != lifecycle.Ending { // which do not wait for a rotation
			status.waits(list[0].Since)
		}
	}
	if status.Ungoverned, err = s.ungoverned(ctx); err != nil {
		return status, err
	}
	if err := s.countDue(ctx, &status); err != nil {
		return status, err
	}
	if !status.Oldest.IsZero() {
		status.Lateness = max(s.Now().Sub(status.Oldest), 0)
	}
	return status, nil
}

func (s *RotationStatus) waits(since time.Time) {
	if s.Oldest.IsZero() || since.Before(s.Oldest) {
		s.Oldest = since
	}
}

// countDue counts the keys that wait for a tick.
func (s *Session) countDue(ctx context.Context, status *RotationStatus) error {
	var last time.Time
	status.Progress, status.Running, last = s.shown.get()
	minutes, err := dueMinutes(ctx, s.store.Due, last, s.Now())
	if err != nil {
		return err
	}
	status.Complete = len(minutes) <= minutesCounted
	for _, minute := range minutes[:min(len(minutes), minutesCounted)] {
		names, err := s.store.Due.KeysDue(ctx, minute)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			status.Due += len(names)
			status.waits(minute)
		}
	}
	return nil
}

// Ungoverned is a policy that says nothing to the keys that are bound to it.
type Ungoverned struct {
	Policy string
	Why    error
	Keys   []string // that the index has under the policy
}

// ungoverned returns these policies. What is remembered of the others is not read again.
func (s *Session) ungoverned(ctx context.Context) ([]Ungoverned, error) {
	names, err := s.store.Bindings.BoundPolicies(ctx)
	var list []Ungoverned
	for _, name := range names {
		_, why := s.data.Policy(ctx, name)
		if why == nil {
			continue
		}
		keys, listErr := s.store.Bindings.BoundKeys(ctx, name)
		err = errors.Join(err, listErr)
		list = append(list, Ungoverned{name, why, keys})
	}
	return list, err
}
