// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"time"
)

// clockEvery is how often the time is remembered in storage; the guard allows for more.
const clockEvery = 4 * time.Minute

// watchClock learns whether the clock can be believed.
func (t *tick) watchClock(ctx context.Context) error {
	was, err := t.store.Clock.Clock(ctx)
	if err != nil {
		t.Frozen, t.Storage = "the clock guard cannot be read", err
		return err
	}
	next, frozen := was.Watch(t.started)
	t.acts = t.acts.WithClock(next) // who checks it need not read it again
	t.Plane.SetClock(next)
	if t.Frozen = frozen; frozen != "" {
		t.Log.Error("clock guard: nothing is archived, retired or destroyed; rotation goes on", "why", frozen, "acknowledge", "config/clock")
	}
	if next.High.Sub(was.High) < clockEvery && next.Jumped.Equal(was.Jumped) {
		return nil
	}
	return t.store.Clock.SetClock(ctx, next)
}
