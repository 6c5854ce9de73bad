// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package datakeys holds the data keys of an application and knows what each may still do. Protecting is proved by datakey,
// processing by decrypt; a proof counts from the start of its request, for so long as [Bounds] say (docs/adr/0068).
//
// It knows nothing of messages, tokens and HTTP: an [Engine] asks Vault, and sorts what Vault says.
//
// What holds: a use with a fresh proof takes no lock and waits for nobody. A refusal drops the data keys that it is about, and
// an outage drops none. A key has one request of a kind under way, which all who need it wait for; no lock is held over it.
package datakeys

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/client/internal/sealed"
)

// MaxKnown is how many data keys are kept to decrypt; those that were used longest ago go first.
const MaxKnown = 10_000

// Engine sends one request a call; it is [engine.Engine].
type Engine interface {
	Make(ctx context.Context, key string) (engine.Made, error)
	Open(ctx context.Context, key string, edks []string) ([]engine.Item, error)
	Rewrap(ctx context.Context, key string, edks []string) ([]engine.Item, error)
}

// Bounds hold how long a proof counts, and what one data key encrypts. All are set.
type Bounds struct {
	TTL          time.Duration
	StaleProtect time.Duration
	MaxStale     time.Duration
	DataKeyAge   time.Duration
	MaxMessages  int64
	MaxBytes     int64
}

// Options are what a [Set] works with. Engine, Bounds and Timeout are required.
type Options struct {
	Engine  Engine
	Bounds  Bounds
	Timeout time.Duration  // of a call whose context has no deadline
	File    *sealed.File   // for a start without Vault; nil: none
	Random  func() float64 // numbers in [0,1) for jitter; default math/rand/v2
	Now     func() Moment  // default the machine's clocks
}

// Set has the data keys of a client, by the names of their keys.
type Set struct {
	o       Options
	life    context.Context // ends by Close
	end     context.CancelCauseFunc
	work    sync.WaitGroup // requests, and the refresher
	ring    chan struct{}  // wakes the refresher
	known   atomic.Int64   // data keys in memory
	file    file
	closing sync.Once
	failed  error // of Close

	mu     sync.Mutex
	keys   map[string]*Key
	begun  bool // the refresher is
	closed bool
}

// New returns a set without data keys. It asks nobody.
func New(o Options) *Set {
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Now == nil {
		o.Now = machineClocks()
	}
	s := &Set{o: o, ring: make(chan struct{}, 1), keys: map[string]*Key{}, file: file{File: o.File}}
	s.life, s.end = context.WithCancelCause(context.Background())
	return s
}

// Key returns the key of a name, always the same one.
func (s *Set) Key(name string) *Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[name]
	if k == nil {
		k = newKey(s, name)
		s.keys[name] = k
	}
	return k
}

func (s *Set) all() []*Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]*Key, 0, len(s.keys))
	for _, k := range s.keys {
		keys = append(keys, k)
	}
	return keys
}

// start runs work that Close waits for, and the refresher from the first time on. It returns false after Close.
func (s *Set) start(work func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if !s.begun {
		s.begun = true
		s.work.Go(s.refresh)
	}
	s.work.Go(work)
	return true
}

// lasting is a context for a request that goes on when its first caller does not wait any longer. It ends by Close.
func (s *Set) lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(s.life, func() { cancel(refusal.ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// Close ends what runs, saves the file and wipes the data keys. Uses fail with [refusal.ErrClosed] from then on.
func (s *Set) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.end(refusal.ErrClosed)
		s.work.Wait()
		s.failed = s.saveLast()
		for _, k := range s.all() {
			k.mu.Lock()
			k.dropAll()
			k.mu.Unlock()
		}
	})
	return s.failed
}

// heard takes note of how a request ended, before anybody else is told. The first one decides whether the file is read.
func (s *Set) heard(err error) {
	s.file.first.Do(func() {
		if errors.Is(err, refusal.ErrUnavailable) {
			s.restore()
		}
	})
}

// wake makes the refresher look again at what is due.
func (s *Set) wake() {
	select {
	case s.ring <- struct{}{}:
	default:
	}
}
