// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import (
	"context"
	"errors"
	"math"
	"time"
)

// never is longer than any time until something is due.
const never = time.Duration(math.MaxInt64)

// refresh asks ahead for what uses will need, until the set is closed. It blocks no use.
func (s *Set) refresh() {
	for {
		timer := time.NewTimer(s.round())
		select {
		case <-timer.C:
		case <-s.ring:
		case <-s.life.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// round asks for what is due, and returns when the next thing is.
func (s *Set) round() time.Duration {
	now, next := s.o.Now(), never
	for _, k := range s.all() {
		next = min(next, k.renewProtect(now), k.renewProcess(now))
	}
	return min(next, s.saveSoon())
}

// renewProtect asks for the encrypting data key's proof, or for the next one, if it encrypted since its proof.
func (k *Key) renewProtect(now Moment) time.Duration {
	d := k.current.Load()
	if d == nil {
		return never
	}
	p := d.protect.Load()
	left := min(p.ahead-p.at.age(now), d.wears(now))
	if left > 0 && !d.worn(now) {
		return k.set.notOften(left)
	}
	if !d.encrypted(p) || !p.usable(now) {
		return never // the next use asks
	}
	if pause, _ := k.protecting.pause(); pause > 0 {
		return pause
	}
	k.make(k.set.life, true)
	return never // its end wakes
}

// renewProcess asks for the proofs of all data keys that opened something since theirs, when the first of them is due.
func (k *Key) renewProcess(now Moment) time.Duration {
	next, due := never, false
	var used []string
	k.known.each(func(d *DataKey) {
		p := d.process.Load()
		if p == nil {
			return
		}
		age := p.at.age(now)
		if age < p.ahead {
			next = min(next, k.set.notOften(p.ahead-age))
		}
		if !d.wasOpened(p) || !p.usable(now) {
			return
		}
		due = due || age >= p.ahead
		if age >= p.ahead || age >= k.set.o.Bounds.TTL/2 {
			used = append(used, d.EDK())
		}
	})
	if !due {
		return next
	}
	if pause, _ := k.processing.pause(); pause > 0 {
		return min(next, pause)
	}
	processLine{k}.ask(k.set.life, used, true)
	return next
}

// notOften keeps the refresher from looking at thousands of data keys one by one.
func (s *Set) notOften(d time.Duration) time.Duration { return max(d, s.o.Bounds.TTL/256) }

// Refresh asks now for what would be asked for in time, if the key is in use: which data key is to encrypt, and the proofs of those
// that opened messages. What it asks begins after the call.
func (k *Key) Refresh(ctx context.Context) error {
	ctx, cancel := k.set.timed(ctx)
	defer cancel()
	if k.set.life.Err() != nil {
		return context.Cause(k.set.life)
	}
	if err := waitFor(ctx, k.underWay()); err != nil && ctx.Err() != nil {
		return err
	}
	var flights []*flight
	if k.current.Load() != nil {
		flights = append(flights, k.make(ctx, true))
	}
	if used := k.inUse(k.set.o.Now()); len(used) > 0 {
		flights = append(flights, processLine{k}.ask(ctx, used, true)...)
	}
	return waitFor(ctx, flights)
}

// underWay returns what was asked for already, and may tell what was so before.
func (k *Key) underWay() (flights []*flight) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.making != nil {
		flights = append(flights, k.making)
	}
	for _, f := range k.opening {
		flights = append(flights, f)
	}
	return flights
}

// inUse returns the EDKs that may be opened now without asking, and were.
func (k *Key) inUse(now Moment) (edks []string) {
	k.known.each(func(d *DataKey) {
		if p := d.process.Load(); p.usable(now) && (d != k.current.Load() || d.opened.Load() != 0) {
			edks = append(edks, d.EDK())
		}
	})
	return edks
}

// waitFor returns the different errors of flights, joined.
func waitFor(ctx context.Context, flights []*flight) error {
	var all []error
	told := map[string]bool{}
	for _, f := range flights {
		err := f.wait(ctx)
		if err == nil {
			err = f.err
		} else {
			err = unavailable(nil, err)
		}
		if err != nil && !told[err.Error()] {
			told[err.Error()] = true
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}
