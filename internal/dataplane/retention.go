// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Forever is the time of material that stays in memory.
const Forever = time.Duration(math.MaxInt64)

// Retention is how long material that a hardware security module wrapped is used from memory.
type Retention struct {
	TTL time.Duration // 0: it is unwrapped for each operation
	// MaxAge is the time, while the module is away; 0: it is not longer then.
	MaxAge time.Duration
}

// held is a cipher in memory.
type held struct {
	cipher   *envelope.Cipher // nil: it is not kept, and hardware is known
	hardware bool             // a hardware security module wrapped its material: it is used for a time
	loaded   time.Time
}

// isYounger reports whether a cipher may be used for so long. A clock that went back makes it old.
func (h *held) isYounger(limit time.Duration, now time.Time) bool {
	age := now.Sub(h.loaded)
	return h.cipher != nil && (limit == Forever || 0 <= age && age < limit)
}

// cipher returns the cipher of a version, opening its material on first use, and again where its time is over. The error is
// [errStale] where the key was deleted, or the version destroyed, since the snapshot was taken.
func (s *Session) cipher(ctx context.Context, k *lifecycle.Key, number int) (*envelope.Cipher, error) {
	h, ok := s.plane.ciphers.Get(cipherOf(k, number))
	s.plane.Observe.Ciphers.Found(ok)
	v := opening{s, k, number}
	switch {
	case !ok:
		return v.load(ctx, func(h *held) bool { return h.cipher != nil })
	case !h.hardware:
		return h.cipher, nil
	}
	r, err := s.retention(ctx)
	if err != nil {
		return nil, err
	}
	if h.isYounger(r.TTL, s.plane.Now()) {
		return h.cipher, nil
	}
	return v.renew(ctx, h, r)
}

func (s *Storage) retention(ctx context.Context) (Retention, error) {
	if s.Retention == nil {
		return Retention{TTL: Forever}, nil
	}
	return s.Retention.Retention(ctx)
}

// away says why the module is known to be away. Without one there is none.
func (s *Storage) away() error {
	if s.Retention == nil {
		return nil
	}
	return s.Retention.Away()
}

// opening is a version of which a request needs the cipher.
type opening struct {
	s      *Session
	k      *lifecycle.Key
	number int
}

// peek returns the cipher if it is in memory and may be used; else nil.
func (o opening) peek(ctx context.Context) *envelope.Cipher {
	h, ok := o.s.plane.ciphers.Peek(cipherOf(o.k, o.number))
	if !ok || !h.hardware {
		return h.orNone()
	}
	if r, err := o.s.retention(ctx); err != nil || !h.isYounger(r.TTL, o.s.plane.Now()) {
		return nil
	}
	return h.cipher
}

func (h *held) orNone() *envelope.Cipher {
	if h == nil {
		return nil
	}
	return h.cipher
}

// renew returns the cipher of a version whose time in memory is over: loaded anew or, while the module is away, the one in
// memory if the settings let it. Nobody waits for a module that is known to be away.
func (o opening) renew(ctx context.Context, h *held, r Retention) (c *envelope.Cipher, err error) {
	p := o.s.plane
	switch err = o.s.away(); {
	case err != nil:
		err = fmt.Errorf("load key %q version %d: %w", o.k.Name, o.number, err)
	case r.TTL == 0:
		c, err = o.loadForOnce(ctx, h)
	default:
		c, err = o.load(ctx, func(h *held) bool { return h.isYounger(r.TTL, p.Now()) })
	}
	if errors.Is(err, envelope.ErrUnavailable) && h.isYounger(r.MaxAge, p.Now()) {
		p.outage.serve(&p.Config)
		return h.cipher, nil
	}
	return c, err
}

// load opens the material of a version. Who comes at once waits for one load, unless nothing is kept.
func (o opening) load(ctx context.Context, usable func(*held) bool) (*envelope.Cipher, error) {
	var mine *envelope.Cipher
	h, err := o.s.plane.ciphers.Renew(ctx, cipherOf(o.k, o.number), usable, func() (*held, error) {
		h, err := o.loadNow(ctx)
		mine = h.orNone()
		return h.kept(ctx, o.s), err
	})
	switch {
	case err != nil:
		return nil, o.orStale(ctx, err)
	case mine != nil:
		return mine, nil
	case h.cipher != nil:
		return h.cipher, nil
	}
	return o.loadForOnce(ctx, h)
}

// loadForOnce opens the material of a version for one operation, and drops what is kept of it from before.
func (o opening) loadForOnce(ctx context.Context, h *held) (*envelope.Cipher, error) {
	if h.cipher != nil {
		o.s.plane.ForgetCipher(o.k, o.number)
	}
	loaded, err := o.loadNow(ctx)
	return loaded.orNone(), o.orStale(ctx, err)
}

// orStale adds to an error that the key was changed, if it was.
func (o opening) orStale(ctx context.Context, err error) error {
	if err != nil && o.s.changed(ctx, o.k) {
		return fmt.Errorf("%w: %w", errStale, err)
	}
	return err
}

func (o opening) loadNow(ctx context.Context) (*held, error) {
	p := o.s.plane
	now := p.Now()
	c, hardware, err := o.s.Materials().load(ctx, o.k, o.number)
	if err != nil {
		return nil, err
	}
	if hardware {
		p.timed.Store(true)
		p.outage.end(&p.Config)
	}
	return &held{c, hardware, now}, nil
}

// kept is what is kept of a cipher that was loaded: without a time in memory, that it has none.
func (h *held) kept(ctx context.Context, s *Session) *held {
	if h == nil || !h.hardware {
		return h
	}
	if r, err := s.retention(ctx); err != nil || r.TTL == 0 {
		return &held{hardware: true}
	}
	return h
}

// DropExpired drops ciphers whose time in memory is over. The runtime's copies of their keys go with the next collection.
func (s *Session) DropExpired(ctx context.Context) error {
	if s.Retention == nil || !s.plane.timed.Load() {
		return nil
	}
	r, err := s.retention(ctx)
	if err != nil {
		return err
	}
	limit := r.TTL
	if s.Retention.Suspect() && r.MaxAge > 0 {
		limit = max(limit, r.MaxAge)
	} else {
		s.plane.outage.end(&s.plane.Config)
	}
	now := s.plane.Now()
	s.plane.ciphers.DropIf(func(h *held) bool { return h.hardware && h.cipher != nil && !h.isYounger(limit, now) })
	return nil
}

// outage is a time in which a module was away, and material was used past its time.
type outage struct {
	mu     sync.Mutex
	since  time.Time // zero: there is none
	served uint64    // in all of them
}

// serve counts a use, and says that an outage has begun.
func (o *outage) serve(c *Config) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.served++
	if o.since.IsZero() {
		o.since = c.Now()
		c.Log.Warn("the HSM is away: material in memory is used past cache_ttl, until degraded_max_age")
	}
}

func (o *outage) end(c *Config) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		c.Log.Info("material is no longer used past cache_ttl", "since", o.since)
		o.since = time.Time{}
	}
}

// Outage tells since when material is used past its time because the module is away, zero if it is not, and how often it was.
func (p *Plane) Outage() (since time.Time, served uint64) {
	p.outage.mu.Lock()
	defer p.outage.mu.Unlock()
	return p.outage.since, p.outage.served
}
