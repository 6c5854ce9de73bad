// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observe

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Labels are the values of one label, or of two.
type Labels [2]string

// Counts are counters by the values of labels. Whoever counts declares the values when a mount is made, so that each
// counter is there from the start, at 0, and there are never more. Values that nobody declared are not counted.
type Counts struct {
	mu sync.Mutex // of who declares
	by atomic.Pointer[map[Labels]*atomic.Int64]
}

// Declare makes the counters of these values, at 0.
func (c *Counts) Declare(values ...Labels) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[Labels]*atomic.Int64{}
	if now := c.by.Load(); now != nil {
		maps.Copy(next, *now)
	}
	for _, v := range values {
		if next[v] == nil {
			next[v] = new(atomic.Int64)
		}
	}
	c.by.Store(&next)
}

// Add counts n more.
func (c *Counts) Add(of Labels, n int64) {
	if now := c.by.Load(); now != nil {
		if counter := (*now)[of]; counter != nil {
			counter.Add(n)
		}
	}
}

// Count is a counter's value.
type Count struct {
	Labels Labels
	N      int64
}

// All returns the counters in the order of their labels.
func (c *Counts) All() []Count {
	now := c.by.Load()
	if now == nil {
		return nil
	}
	all := make([]Count, 0, len(*now))
	for labels, n := range *now {
		all = append(all, Count{labels, n.Load()})
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Labels[0], b.Labels[0]), cmp.Compare(a.Labels[1], b.Labels[1]))
	})
	return all
}
