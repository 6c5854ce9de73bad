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
)

// Config is what a [Keyring] is made from.
type Config struct {
	Now  func() time.Time
	Rand io.Reader

	// Wrap stands before the wrapper of material in use; nil: nothing does.
	Wrap func(envelope.KeyWrapper) envelope.KeyWrapper
}

// Keyring holds the wrappers of a mount once a request has needed them. It is safe for concurrent use.
type Keyring struct {
	Config
	made   *cache.Cache[struct{}, *wrappers]
	health monitor

	mu     sync.Mutex
	closed bool
	open   []io.Closer // wrappers that hold something
}

// wrappers are those of a mount, by the purpose of what they seal. A purpose that has none is missing.
type wrappers struct {
	instance string
	of       map[string]envelope.KeyWrapper
}

// New returns the keyring of a mount.
func New(c Config) *Keyring {
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
	w, ok = ring.of[purpose]
	switch {
	case ok:
		return w, ring.instance, nil
	case purpose == envelope.PurposeArchive:
		return nil, "", ErrNoArchiveKEK
	default:
		return nil, "", fmt.Errorf("wrapper for %q: %w", purpose, hsm.ErrKEKMissing)
	}
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
		return k.wrappers(keks)
	case !create:
		return nil, hsm.ErrKEKMissing
	}
	if keks, err = draw(k.Rand, k.Now()); err != nil {
		return nil, err
	}
	if keks, err = s.CreateKeyring(ctx, keks); err != nil {
		return nil, err
	}
	return k.wrappers(keks)
}

// wrappers makes the wrappers of these keys.
func (k *Keyring) wrappers(keks KEKs) (*wrappers, error) {
	ring := &wrappers{instance: keks.Instance, of: map[string]envelope.KeyWrapper{}}
	use, err := hsm.NewSoftware(keks.Use.ID, keks.Use.Key, k.Rand)
	if err != nil {
		return nil, err
	}
	ring.of[envelope.PurposeOnline] = use
	if k.Wrap != nil {
		ring.of[envelope.PurposeOnline] = k.Wrap(use)
	}
	if len(keks.Archive.Key) > 0 {
		archive, err := hsm.NewSoftware(keks.Archive.ID, keks.Archive.Key, k.Rand)
		if err != nil {
			return nil, err
		}
		ring.of[envelope.PurposeArchive] = archive
	}
	for purpose, w := range ring.of {
		if err := k.hold(w); err != nil {
			return nil, err
		}
		ring.of[purpose] = &watched{w, &k.health}
	}
	return ring, nil
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
	k.closed, k.open = true, nil
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
