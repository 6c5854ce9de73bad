// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/store"
)

var _ engine.Repo = requestStore{}

// requestStore is what the engine sees of a mount during one request.
type requestStore struct {
	store.Repo
	keyring *keyring
}

// Wrapper is engine.WrapperSource's.
func (r requestStore) Wrapper(ctx context.Context, purpose string, create bool) (envelope.KeyWrapper, string, error) {
	return r.keyring.get(ctx, r.Repo, purpose, create)
}

// AsSystem is engine.Repo's.
func (r requestStore) AsSystem() engine.Repo {
	return requestStore{Repo: r.As(system), keyring: r.keyring}
}

// keyring holds the wrappers of the mount once they are known.
type keyring struct {
	now  func() time.Time
	rand io.Reader

	wrapper func(envelope.KeyWrapper) envelope.KeyWrapper // stands before the wrapper in use; nil: nothing does

	mu   sync.Mutex
	off  bool
	ring *wrappers
}

// wrappers are those of a mount, by what they seal.
type wrappers struct {
	instance     string
	use, archive envelope.KeyWrapper // archive is nil where its key is missing
}

func (s *keyring) get(ctx context.Context, r store.Repo, purpose string, create bool) (envelope.KeyWrapper, string, error) {
	ring, err := s.wrappers(ctx, r, create)
	switch {
	case err != nil:
		return nil, "", err
	case purpose == engine.PurposeOnline:
		return ring.use, ring.instance, nil
	case ring.archive == nil:
		return nil, "", store.ErrNoArchiveKEK
	default:
		return ring.archive, ring.instance, nil
	}
}

func (s *keyring) wrappers(ctx context.Context, r store.Repo, create bool) (*wrappers, error) {
	s.mu.Lock()
	known := s.ring
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	ring, err := s.load(ctx, r, create)
	if err != nil {
		return nil, err
	}
	made := &wrappers{instance: ring.Instance}
	if made.use, err = hsm.NewSoftware(ring.Use.ID, ring.Use.Key, s.rand); err != nil {
		return nil, err
	}
	if s.wrapper != nil {
		made.use = s.wrapper(made.use)
	}
	if len(ring.Archive.Key) > 0 {
		if made.archive, err = hsm.NewSoftware(ring.Archive.ID, ring.Archive.Key, s.rand); err != nil {
			return nil, err
		}
	}
	s.keep(made)
	return made, nil
}

// load reads the keyring; a mount without one gets it with its first key, and never again.
func (s *keyring) load(ctx context.Context, r store.Repo, create bool) (store.Keyring, error) {
	ring, found, err := r.Keyring(ctx)
	switch {
	case err != nil || found:
		return ring, err
	case !create:
		return ring, hsm.ErrKEKMissing
	}
	var drawn [16 + 2*(16+32)]byte
	if _, err := io.ReadFull(s.rand, drawn[:]); err != nil {
		return ring, fmt.Errorf("draw key encryption keys: %w", err)
	}
	return r.CreateKeyring(ctx, store.Keyring{
		Instance: hex.EncodeToString(drawn[:16]),
		Use:      store.KEK{ID: [16]byte(drawn[16:32]), Key: drawn[32:64], Created: s.now()},
		Archive:  store.KEK{ID: [16]byte(drawn[64:80]), Key: drawn[80:], Created: s.now()},
	})
}

func (s *keyring) keep(ring *wrappers) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.off {
		s.ring = ring
	}
}

func (s *keyring) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring = nil
}

func (s *keyring) disable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring, s.off = nil, true
}
