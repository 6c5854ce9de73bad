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
	switch {
	case !ok:
		return s.load(ctx, k, number, func(h *held) bool { return h.cipher != nil })
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
	return s.renew(ctx, k, number, h, r)
}

// peek returns the cipher of a version if it is in memory and may be used; else nil.
func (s *Session) peek(ctx context.Context, k *lifecycle.Key, number int) *envelope.Cipher {
	h, ok := s.plane.ciphers.Peek(cipherOf(k, number))
	if !ok || !h.hardware {
		return h.orNone()
	}
	if r, err := s.retention(ctx); err != nil || !h.isYounger(r.TTL, s.plane.Now()) {
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

func (s *Session) retention(ctx context.Context) (Retention, error) {
	if s.Retention == nil {
		return Retention{TTL: Forever}, nil
	}
	return s.Retention.Retention(ctx)
}

// away says why the module is known to be away. Without one there is none.
func (s *Session) away() error {
	if s.Retention == nil {
		return nil
	}
	return s.Retention.Away()
}

// renew returns the cipher of a version whose time in memory is over: loaded anew or, while the module is away, the one in
// memory if the settings let it. Nobody waits for a module that is known to be away.
func (s *Session) renew(ctx context.Context, k *lifecycle.Key, number int, h *held, r Retention) (c *envelope.Cipher, err error) {
	switch err = s.away(); {
	case err != nil:
		err = fmt.Errorf("load key %q version %d: %w", k.Name, number, err)
	case r.TTL == 0:
		c, err = s.loadForOnce(ctx, k, number, h)
	default:
		c, err = s.load(ctx, k, number, func(h *held) bool { return h.isYounger(r.TTL, s.plane.Now()) })
	}
	if errors.Is(err, envelope.ErrUnavailable) && h.isYounger(r.MaxAge, s.plane.Now()) {
		s.plane.outage.serve(&s.plane.Config)
		return h.cipher, nil
	}
	return c, err
}

// load opens the material of a version. Who comes at once waits for one load, unless nothing is kept.
func (s *Session) load(ctx context.Context, k *lifecycle.Key, number int, usable func(*held) bool) (*envelope.Cipher, error) {
	var mine *envelope.Cipher
	h, err := s.plane.ciphers.Renew(ctx, cipherOf(k, number), usable, func() (*held, error) {
		h, err := s.loadNow(ctx, k, number)
		mine = h.orNone()
		return h.kept(ctx, s), err
	})
	switch {
	case err != nil:
		return nil, s.orStale(ctx, k, err)
	case mine != nil:
		return mine, nil
	case h.cipher != nil:
		return h.cipher, nil
	}
	return s.loadForOnce(ctx, k, number, h)
}

// loadForOnce opens the material of a version for one operation, and drops what is kept of it from before.
func (s *Session) loadForOnce(ctx context.Context, k *lifecycle.Key, number int, h *held) (*envelope.Cipher, error) {
	if h.cipher != nil {
		s.plane.ForgetCipher(k, number)
	}
	loaded, err := s.loadNow(ctx, k, number)
	return loaded.orNone(), s.orStale(ctx, k, err)
}

// orStale adds to an error that the key was changed, if it was.
func (s *Session) orStale(ctx context.Context, k *lifecycle.Key, err error) error {
	if err != nil && s.changed(ctx, k) {
		return fmt.Errorf("%w: %w", errStale, err)
	}
	return err
}

func (s *Session) loadNow(ctx context.Context, k *lifecycle.Key, number int) (*held, error) {
	now := s.plane.Now()
	c, hardware, err := s.Materials().load(ctx, k, number)
	if err != nil {
		return nil, err
	}
	if hardware {
		s.plane.timed.Store(true)
		s.plane.outage.end(&s.plane.Config)
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
