// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import "time"

// Moment is a time by two clocks, in nanoseconds: Mono does not jump but stands still while a machine sleeps, Wall goes on but
// can be set.
type Moment struct{ Mono, Wall int64 }

// machineClocks reads both clocks at once.
func machineClocks() func() Moment {
	base := time.Now()
	return func() Moment {
		now := time.Now()
		return Moment{Mono: int64(now.Sub(base)) + 1, Wall: now.UnixNano()} // never 0, which is no time
	}
}

// age is how long ago a moment was, by the clock that says longer.
func (m Moment) age(now Moment) time.Duration {
	return time.Duration(max(now.Mono-m.Mono, now.Wall-m.Wall))
}

// at is the moment of a time that was stored.
func (m Moment) at(unix int64) Moment {
	wall := time.Unix(unix, 0).UnixNano()
	return Moment{Mono: m.Mono - (m.Wall - wall), Wall: wall}
}

func (m Moment) time() time.Time { return time.Unix(0, m.Wall) }

func (m Moment) unix() int64 { return m.time().Unix() }

// proof says that the engine allowed a use of a data key. It does not change.
type proof struct {
	at       Moment        // the start of the request
	ttl      time.Duration // that it is fresh
	ahead    time.Duration // after which it is renewed, if the data key was used since
	stale    time.Duration // that it counts while Vault does not answer
	messages int64         // that the data key had encrypted by then
}

func (p *proof) fresh(now Moment) bool  { return p != nil && p.at.age(now) < p.ttl }
func (p *proof) usable(now Moment) bool { return p != nil && p.at.age(now) < max(p.stale, p.ttl) }

// prove is a proof that counts from the start of a request. It is renewed at 80 % of its time, 10 % of that more or less.
func (s *Set) prove(start Moment, stale time.Duration) *proof {
	ttl := s.o.Bounds.TTL
	return &proof{at: start, ttl: ttl, ahead: time.Duration(float64(ttl) * 0.8 * (0.9 + 0.2*s.o.Random())), stale: stale}
}
