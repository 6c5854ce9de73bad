// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// Condition is what a tick finds out about the key encryption keys. A text says what is wrong; empty: nothing is.
type Condition struct {
	KEKs  string    // one does not open what it wrapped, or they cannot be read
	Away  string    // the token is away
	Since time.Time // when it was seen to be; zero: it is not known
}

// canary is what a key of the software wrapped once in a process, to show that it opens it still.
type canary struct {
	kek     [16]byte
	wrapped []byte
}

// The canary of a key on a token is stored, and opened by the token's check (package hsm).
var (
	canaryText = []byte("keylife canary of a software KEK")
	canaryAAD  = []byte("keylife/canary/v1") // that of material begins with another domain
)

// errOpensElse reports a key encryption key that does not give back what it wrapped.
var errOpensElse = errors.New("it does not open what it wrapped")

// Condition has the active key of each purpose that the software keeps open its canary. What a token's check found last counts for
// the others: no token is called. A mount without keys has no key encryption keys, and nothing is wrong with it.
func (b Bound) Condition(ctx context.Context) Condition {
	ring, err := b.keyring.ring(ctx, b.store)
	switch {
	case errors.Is(err, hsm.ErrKEKMissing):
		return Condition{}
	case isAway(err):
		return b.away(err)
	case err != nil:
		return Condition{KEKs: err.Error()}
	}
	for _, purpose := range []string{envelope.PurposeOnline, envelope.PurposeArchive} {
		w, ok := ring.of[purpose]
		if !ok || w.Hardware() {
			continue
		}
		switch err := b.keyring.canaries.open(ctx, purpose, w); {
		case errors.Is(err, envelope.ErrUnavailable):
			return b.away(err)
		case err != nil:
			return Condition{KEKs: fmt.Sprintf("key encryption key %x of purpose %s: %v", w.Active(), purpose, err)}
		}
	}
	return b.tokenCondition()
}

// canaries are those of a process, by purpose.
type canaries struct {
	mu sync.Mutex
	of map[string]canary
}

func (c *canaries) get(purpose string) canary {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[purpose]
}

func (c *canaries) set(purpose string, made canary) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]canary{}
	}
	c.of[purpose] = made
}

// open has the active key of a purpose open its canary, which it makes where there is none.
func (c *canaries) open(ctx context.Context, purpose string, w *Wrapper) error {
	held := c.get(purpose)
	if held.kek != w.Active() {
		wrapped, err := w.Wrap(ctx, canaryText, canaryAAD)
		if err != nil {
			return err
		}
		held = canary{w.Active(), wrapped}
		c.set(purpose, held)
	}
	text, err := w.Unwrap(ctx, held.wrapped, canaryAAD)
	if err == nil && !bytes.Equal(text, canaryText) {
		err = errOpensElse
	}
	return err
}

// away is the condition of a wrapper that is.
func (b Bound) away(why error) Condition {
	return Condition{Away: why.Error(), Since: b.keyring.Health().Since}
}

// tokenCondition is what is known of the token.
func (b Bound) tokenCondition() Condition {
	use := b.keyring.inUse()
	if use == nil {
		return Condition{}
	}
	h := use.Health()
	if h.State == token.Healthy || h.State == token.Unknown {
		return Condition{}
	}
	return Condition{Away: fmt.Sprintf("the token is %s: %s", h.State, h.LastError), Since: h.Since}
}

// Probe wraps and unwraps a secret that is drawn for it with the active key of the material in use. A mount without keys has none,
// and nothing to wrap.
func (b Bound) Probe(ctx context.Context) error {
	ring, err := b.keyring.ring(ctx, b.store)
	if errors.Is(err, hsm.ErrKEKMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	w, ok := ring.of[envelope.PurposeOnline]
	if !ok {
		return hsm.ErrKEKMissing
	}
	secret := make([]byte, len(canaryText))
	defer clear(secret)
	if _, err := io.ReadFull(b.keyring.Rand, secret); err != nil {
		return fmt.Errorf("draw a secret: %w", err)
	}
	wrapped, err := w.Wrap(ctx, secret, canaryAAD)
	if err != nil {
		return err
	}
	opened, err := w.Unwrap(ctx, wrapped, canaryAAD)
	defer clear(opened)
	if err == nil && !bytes.Equal(opened, secret) {
		err = errOpensElse
	}
	return err
}
