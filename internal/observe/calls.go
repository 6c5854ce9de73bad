// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observe

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Storage counts the calls of Vault's storage. A write that a node must not make is not among them: another node makes it.
type Storage struct{ Get, Put, Delete, List Call }

// All returns them with their names.
func (s *Storage) All() []Named[*Call] {
	return []Named[*Call]{{"get", &s.Get}, {"put", &s.Put}, {"delete", &s.Delete}, {"list", &s.List}}
}

// HSM counts the calls of the mount's token. Wrap and Unwrap are of key encryption keys, Use of a version's key that stays
// there, and Manage makes such a key or destroys it.
type HSM struct{ Wrap, Unwrap, Use, Manage Call }

// All returns them with their names.
func (h *HSM) All() []Named[*Call] {
	return []Named[*Call]{{"wrap", &h.Wrap}, {"unwrap", &h.Unwrap}, {"use", &h.Use}, {"manage", &h.Manage}}
}

// bounds are the upper bounds of a call's buckets.
var bounds = [...]time.Duration{
	time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second,
}

// A Call counts calls of what is outside of the process, by result, and how long they took.
type Call struct {
	OK       atomic.Int64
	Error    atomic.Int64
	Canceled atomic.Int64 // whoever asked gave up

	took  [len(bounds) + 1]atomic.Int64 // by bucket; the last one has no bound
	total atomic.Int64                  // nanoseconds
}

// Ended counts a call that took so long.
func (c *Call) Ended(ctx context.Context, took time.Duration, err error) {
	switch {
	case err == nil:
		c.OK.Add(1)
	case errors.Is(ctx.Err(), context.Canceled):
		c.Canceled.Add(1)
	default:
		c.Error.Add(1)
	}
	took = max(took, 0) // of a clock that was set
	at := 0
	for at < len(bounds) && took > bounds[at] {
		at++
	}
	c.took[at].Add(1)
	c.total.Add(int64(took))
}

// Results returns how many calls there were by result.
func (c *Call) Results() []Named[int64] {
	return []Named[int64]{{"ok", c.OK.Load()}, {"error", c.Error.Load()}, {"canceled", c.Canceled.Load()}}
}

// Durations are how long calls took.
type Durations struct {
	Count   uint64
	Seconds float64            // of all of them
	UpTo    map[float64]uint64 // calls by upper bound in seconds, each with those of lower bounds
}

// Durations returns how long the calls took until now.
func (c *Call) Durations() Durations {
	d := Durations{Seconds: time.Duration(c.total.Load()).Seconds(), UpTo: make(map[float64]uint64, len(bounds))}
	for i := range c.took {
		d.Count += uint64(c.took[i].Load()) //nolint:gosec // it counts up from 0
		if i < len(bounds) {
			d.UpTo[bounds[i].Seconds()] = d.Count
		}
	}
	return d
}
