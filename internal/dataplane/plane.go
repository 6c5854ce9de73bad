// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/keylife/vault-plugin-keylife/internal/cache"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// How many snapshots a mount keeps in memory: about 40 MiB of keys and 115 MiB of ciphers, when full (test/bench/scale measures what one takes).
const (
	keysCached     = 32768
	policiesCached = 1024
	ciphersCached  = 65536
)

// metersKept bounds the meters in memory. One that goes loses its lease: too many are counted then, never too few.
const metersKept = 65536

// Config is what a [Plane] is made from.
type Config struct {
	Now  func() time.Time
	Rand io.Reader
	Log  hclog.Logger

	Observe *observe.Observer // nil: one that nobody asks

	// ReadOnly reports whether this node must not write; nil: it may.
	ReadOnly func() bool
}

// Plane is what a mount keeps in memory to encrypt and decrypt with. It is safe for concurrent use.
type Plane struct {
	Config

	keys     *cache.Cache[string, *lifecycle.Key]
	policies *cache.Cache[string, *policy.Policy]
	ciphers  *cache.Cache[cipherID, *held] // grouped by the name of the key
	timed    atomic.Bool                   // there has been a cipher with a time in memory
	outage   outage

	meters      *cache.Cache[versionID, *meter] // grouped by the id of the key
	successions turns                           // of keys of which a version has reached its limit, by id

	denied   denials
	openings turns // of keys of which a denied use is looked into, by id

	clock atomic.Pointer[lifecycle.Clock] // what the clock guard remembers, as the last tick had it; nil: none ran yet
}

// New returns the data plane of a mount.
func New(c Config) *Plane {
	c.Observe = c.Observe.OrNew()
	for _, state := range lifecycle.States() {
		c.Observe.DeniedUses.Declare(observe.Labels{state.String()})
	}
	return &Plane{
		Config:   c,
		keys:     cache.New[string, *lifecycle.Key](keysCached),
		policies: cache.New[string, *policy.Policy](policiesCached),
		ciphers:  cache.NewGrouped[cipherID, *held](ciphersCached, cipherID.group),
		meters:   cache.NewGrouped[versionID, *meter](metersKept, func(id versionID) string { return id.keyID }),
	}
}

// DisableCache makes every request read storage, for mounts with force_no_cache. Meters stay: they are no copy of what
// is stored, but what is ahead of it.
func (p *Plane) DisableCache() {
	p.keys.Disable()
	p.policies.Disable()
	p.ciphers.Disable()
}

// BoundCache keeps that many ciphers in memory at most; 0: as many as by default. What is beyond goes, the least recently used
// first.
func (p *Plane) BoundCache(size int) {
	if size == 0 {
		size = ciphersCached
	}
	p.ciphers.Resize(size)
}

// KeyChanged forgets the snapshot of a key after an act on it, also when the outcome is unknown.
func (p *Plane) KeyChanged(name string) { p.keys.Drop(name) }

// ForgetKey drops what is remembered of a key, because it was deleted or another node changed it. Ciphers of versions that
// the change erased must not outlive it, so all of the name's go, whether or not the key itself is still in memory.
func (p *Plane) ForgetKey(name string) {
	p.ciphers.DropGroup(name)
	p.keys.Drop(name)
}

// ForgetCipher drops the cipher of a version whose material moves or goes.
func (p *Plane) ForgetCipher(k *lifecycle.Key, number int) { p.ciphers.Drop(cipherOf(k, number)) }

// ForgetPolicy drops what is remembered of a policy, because it was changed.
func (p *Plane) ForgetPolicy(name string) { p.policies.Drop(name) }

// CachedPolicy returns the revision of a policy that is in force, if it is in memory.
func (p *Plane) CachedPolicy(name string) (*policy.Policy, bool) { return p.policies.Peek(name) }

// SetClock tells what the clock guard remembers, as a tick has just learned it.
func (p *Plane) SetClock(c lifecycle.Clock) { p.clock.Store(&c) }

// Latest is the time for what begins a period and may not read storage: that of the clock or, where that is known to be
// behind, the latest that it has shown.
func (p *Plane) Latest() time.Time {
	now := p.Now()
	if clock := p.clock.Load(); clock != nil {
		now, _ = clock.Date(now)
	}
	return now
}

// versionID names one version of one key for ever: its material never changes.
type versionID struct {
	keyID  string
	number int
}

// cipherID is where the cipher of a version is kept: with the name of its key, by which it is dropped.
type cipherID struct {
	name string
	versionID
	publicOnly bool // of a version before its private half was imported
}

func cipherOf(k *lifecycle.Key, number int) cipherID {
	return cipherID{k.Name, versionID{k.ID, number}, k.IsPublicOnly(number)}
}

func (c cipherID) group() string { return c.name }
