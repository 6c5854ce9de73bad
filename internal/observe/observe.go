// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observe

import "sync/atomic"

// An Observer is what one mount knows of itself, in one process. All of it is safe for concurrent use.
type Observer struct {
	Counters
	Board Board

	chains chains
}

// New returns an observer that has seen nothing.
func New() *Observer { return &Observer{} }

// OrNew returns the observer, or one that nobody asks where there is none.
func (o *Observer) OrNew() *Observer {
	if o == nil {
		return New()
	}
	return o
}

// A Board is what the last tick found out. Each part is replaced as a whole by who works it out.
type Board struct {
	Tick       Part[Tick]
	Rotation   Part[Rotation]
	Usage      Part[[]UsageRatio]
	Census     Part[Census]
	Governance Part[Governance]
	Custody    Part[Custody]
	Scrub      Part[Scrub]
	Health     Part[Health]
}

// A Part of the board is zero until it is worked out first.
type Part[T any] struct{ p atomic.Pointer[T] }

// Set replaces the part. What it refers to must not be changed any more.
func (p *Part[T]) Set(v T) { p.p.Store(&v) }

// Get returns the part as it was worked out last.
func (p *Part[T]) Get() (v T) {
	if at := p.p.Load(); at != nil {
		v = *at
	}
	return v
}
