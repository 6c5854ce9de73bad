// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import "sync"

// Buffers for small requests are made a little larger, so that one serves the next request too;
// those above 64 KiB are left to the collector, so that a rare large batch does not stay resident.
const (
	minScratch = 1 << 10
	maxPooled  = 64 << 10
)

// scratchPool lends buffers that hold plaintext for the time of one operation. It belongs to one
// cipher rather than to the package: mounts that share the process share no buffers.
type scratchPool struct{ pool sync.Pool }

// scratch is a pointer's worth of indirection, without which every Put would allocate.
type scratch struct{ bytes []byte }

// get returns a zeroed buffer of n bytes. It must go back by [scratchPool.put].
func (p *scratchPool) get(n int) *scratch {
	if n > maxPooled {
		return &scratch{make([]byte, n)}
	}
	s, ok := p.pool.Get().(*scratch)
	if !ok || cap(s.bytes) < n {
		s = &scratch{make([]byte, max(n, minScratch))}
	}
	s.bytes = s.bytes[:n]
	return s
}

// put wipes the buffer and keeps it for the next. The bytes behind its length are zero already: no
// user sees them.
func (p *scratchPool) put(s *scratch) {
	clear(s.bytes)
	if cap(s.bytes) <= maxPooled {
		p.pool.Put(s)
	}
}
