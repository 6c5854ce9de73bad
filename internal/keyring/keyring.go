// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/cache"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// Config is what a [Keyring] is made from.
type Config struct {
	Now  func() time.Time
	Rand io.Reader

	// Tokens is how the process reaches tokens; nil: it reaches none.
	Tokens *tokens.Host

	Observe *observe.Observer // nil: one that nobody asks

	// Wrap stands before the software's wrapper of material in use; nil: nothing does.
	Wrap func(envelope.KeyWrapper) envelope.KeyWrapper
}

// Keyring holds the wrappers of a mount once a request has needed them. It is safe for concurrent use.
type Keyring struct {
	Config
	made   *cache.Cache[struct{}, *wrappers]
	health monitor
	wraps  wraps

	mu       sync.Mutex
	closed   bool
	open     []io.Closer // wrappers that hold something
	use      *tokens.Use // of the mount's token; nil: none is configured, or none was needed yet
	probed   [16]byte    // the key that shows whether the token works
	attempts int         // under way

	random    *hsm.Random // the last one that was made
	fallbacks uint64      // of those before it
}

// wrappers are those of a mount, by the purpose of what they seal. A purpose that has none is missing.
type wrappers struct {
	instance string
	of       map[string]*Wrapper
	stored   HSM         // as the wrappers were made from it
	random   *hsm.Random // of new material; nil: the operating system's
}

// New returns the keyring of a mount.
func New(c Config) *Keyring {
	if c.Tokens == nil {
		c.Tokens = &tokens.Host{}
	}
	c.Observe = c.Observe.OrNew()
	return &Keyring{Config: c, made: cache.New[struct{}, *wrappers](1), health: monitor{now: c.Now}}
}

// errClosed reports a keyring whose mount is gone.
var errClosed = fmt.Errorf("%w: the mount was closed", envelope.ErrUnavailable)

// Wrapper returns the wrapper for a purpose and the mount's identity. With create it makes what a new mount lacks.
func (k *Keyring) Wrapper(ctx context.Context, s Store, purpose string, create bool) (w envelope.KeyWrapper, instance string, err error) {
	ring, ok := k.made.Get(struct{}{})
	if !ok {
		if ring, err = k.load(ctx, s, create); err != nil {
			return nil, "", err
		}
	}
	many, ok := ring.of[purpose]
	switch {
	case ok:
		return many, ring.instance, nil
	case purpose == envelope.PurposeArchive:
		return nil, "", ErrNoArchiveKEK
	default:
		return nil, "", fmt.Errorf("wrapper for %q: %w", purpose, hsm.ErrKEKMissing)
	}
}

// InForce returns what is in force of the mount's token, as the wrappers were made from it. It is not to be changed.
func (k *Keyring) InForce(ctx context.Context, s Store) (*HSM, error) {
	ring, err := k.ring(ctx, s)
	if err != nil {
		return nil, err
	}
	return &ring.stored, nil
}

// ring returns the wrappers of a mount that has some.
func (k *Keyring) ring(ctx context.Context, s Store) (*wrappers, error) {
	if ring, ok := k.made.Get(struct{}{}); ok {
		return ring, nil
	}
	return k.load(ctx, s, false)
}

// load makes the wrappers, or waits for who makes them. A request that would make what is missing asks again where the one
// that it waited for would not.
func (k *Keyring) load(ctx context.Context, s Store, create bool) (*wrappers, error) {
	for {
		ring, err := k.made.LoadOnce(ctx, struct{}{}, func() (*wrappers, error) { return k.read(ctx, s, create) })
		if !create || !errors.Is(err, hsm.ErrKEKMissing) {
			return ring, err
		}
	}
}

// read reads the key encryption keys; a mount without them gets them with its first key, and never again.
func (k *Keyring) read(ctx context.Context, s Store, create bool) (*wrappers, error) {
	keks, found, err := s.Keyring(ctx)
	switch {
	case err != nil:
		return nil, err
	case found:
		return k.assemble(ctx, s, keks)
	case !create:
		return nil, hsm.ErrKEKMissing
	}
	if keks, err = draw(k.Rand, k.Now()); err != nil {
		return nil, err
	}
	if keks, err = s.CreateKeyring(ctx, keks); err != nil {
		return nil, err
	}
	return k.assemble(ctx, s, keks)
}

// assemble makes the wrappers of these keys, and of those on the token.
func (k *Keyring) assemble(ctx context.Context, s Store, keks KEKs) (*wrappers, error) {
	stored, err := s.HSM(ctx)
	if err != nil {
		return nil, err
	}
	use, err := k.current(stored)
	if err != nil {
		return nil, err
	}
	ring := &wrappers{instance: keks.Instance, of: map[string]*Wrapper{}, stored: stored}
	if ring.random, err = k.newRandom(use, stored); err != nil {
		return nil, err
	}
	for purpose, kek := range map[string]KEK{envelope.PurposeOnline: keks.Use, envelope.PurposeArchive: keks.Archive} {
		w := &Wrapper{all: map[[16]byte]envelope.KeyWrapper{}}
		if err := k.addSoftware(w, purpose, kek, use == nil); err != nil {
			return nil, err
		}
		if err := k.addTokens(w, purpose, use, stored); err != nil {
			return nil, err
		}
		if len(w.all) > 0 {
			ring.of[purpose] = w
		}
	}
	return ring, nil
}

// addSoftware adds the key that is in storage. The key of the archive may be missing. Beside a token it says nothing of how
// wrappers fare.
func (k *Keyring) addSoftware(w *Wrapper, purpose string, kek KEK, watch bool) error {
	if purpose == envelope.PurposeArchive && len(kek.Key) == 0 {
		return nil
	}
	software, err := hsm.NewSoftware(kek.ID, kek.Key, k.Rand)
	if err != nil {
		return err
	}
	var one envelope.KeyWrapper = software
	if k.Wrap != nil && purpose == envelope.PurposeOnline {
		one = k.Wrap(software)
	}
	if err := k.hold(one); err != nil {
		return err
	}
	seen := &watched{KeyWrapper: one, gate: k.gate(nil)}
	if !watch {
		seen.health = nil
	}
	w.add(kek.ID, seen, true)
	return nil
}

// addTokens adds the keys on the token. They wrap, where one of them is active: the software never does in its place.
func (k *Keyring) addTokens(w *Wrapper, purpose string, use *tokens.Use, stored HSM) error {
	active, _ := stored.ActiveOf(purpose)
	for _, kek := range stored.KEKs {
		if use == nil || kek.Purpose != purpose || !kek.Opens() {
			continue
		}
		one, err := hsm.NewWrapper(use, kek.KEK, k.Rand)
		if err != nil {
			return err
		}
		w.add(kek.ID, &watched{&counted{one, kek.ID, &k.wraps}, k.gate(use), kek.ID}, kek.ID == active.ID)
	}
	return nil
}

// hold remembers a wrapper that has to be closed.
func (k *Keyring) hold(w envelope.KeyWrapper) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return errClosed
	}
	if c, ok := w.(io.Closer); ok {
		k.open = append(k.open, c)
	}
	return nil
}

// Forget drops the wrappers, because another node changed the keys: the next request makes them anew.
func (k *Keyring) Forget() { k.made.Drop(struct{}{}) }

// DisableCache makes every request read the keys, for mounts with force_no_cache.
func (k *Keyring) DisableCache() { k.made.Disable() }

// Health tells how the wrappers fare.
func (k *Keyring) Health() Health { return k.health.get() }

// Close closes what the wrappers hold, such as sessions with a token. No request gets a wrapper afterwards.
func (k *Keyring) Close() error {
	k.mu.Lock()
	open := k.open
	if k.use != nil {
		open = append(open, k.use)
	}
	k.closed, k.open, k.use = true, nil, nil
	k.mu.Unlock()
	k.Forget()
	var err error
	for _, c := range open {
		err = errors.Join(err, c.Close())
	}
	return err
}

// On binds the keyring to the storage of one request.
func (k *Keyring) On(s Store) Bound { return Bound{k, s} }

// Bound is a keyring on the storage of one request.
type Bound struct {
	keyring *Keyring
	store   Store
}

// Wrapper is [Keyring.Wrapper].
func (b Bound) Wrapper(ctx context.Context, purpose string, create bool) (envelope.KeyWrapper, string, error) {
	return b.keyring.Wrapper(ctx, b.store, purpose, create)
}
