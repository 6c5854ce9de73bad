// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

var (
	errRejectedBefore = errors.New("it was rejected before")
	errNoPIN          = errors.New("the token requires one, and none is configured")
	errLocked         = errors.New("the token has locked it")
	errFinalTry       = errors.New("one more wrong one would lock the token, so it is not tried; write the configuration again to try it")
	errForeign        = errors.New("another one is in use for the token since")
)

// credential is the PIN of a token, and a latch: once the token has rejected it, it is not tried again.
type credential struct {
	mu       sync.Mutex
	pin      []byte
	hash     [32]byte
	rejected error // not nil: why the PIN is not tried
	lastTry  bool  // the last try before the token locks may be used up
}

// admit holds that one PIN is used for a token. Where that one was rejected, the PIN of a new configuration takes its place:
// those who came with the old one go on being rejected. It reports whether the latch was opened. started says that the PIN was
// used in this process.
func (c *credential) admit(t *Token, started bool) (opened bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	same := subtle.ConstantTimeCompare(c.hash[:], t.pinHash[:]) == 1
	switch {
	case !same && c.rejected == nil:
		return false, fmt.Errorf("%w: the token is in use with another PIN by another mount", hsm.ErrMisconfigured)
	case !same, t.config.Rewritten:
		opened = c.rejected != nil
		clear(c.pin)
		c.pin, c.hash, c.rejected, c.lastTry = slices.Clone(t.config.PIN), t.pinHash, nil, t.config.Rewritten
	}
	if t.config.Rejected && !t.config.Rewritten && (!started || !same) {
		c.rejected = errRejectedBefore
	}
	t.config.Rewritten = false // once
	return opened, nil
}

// refusal says why no login is tried for t, or nil.
func (c *credential) refusal(t *Token) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.hash != t.pinHash:
		return rejection(errForeign)
	case c.rejected != nil:
		return rejection(c.rejected)
	}
	return nil
}

func (c *credential) isRejected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rejected != nil
}

// login logs in where that is needed. An answer that rejects the PIN closes the latch.
func (c *credential) login(k *task, s cryptoki.Session, info cryptoki.Token) (tried bool, err error) {
	pin, err := c.take(info)
	if pin == nil {
		return false, err
	}
	defer clear(pin)
	err = k.call(func() error { return s.Login(pin) })
	switch {
	case errors.Is(err, cryptoki.ErrUserAlreadyLoggedIn): // with all sessions of the process (section 5.6.8)
		return true, nil
	case isRejection(err):
		c.mu.Lock()
		defer c.mu.Unlock()
		return true, c.rejectLocked(err)
	}
	return true, err
}

// take returns a copy of the PIN if it may be tried, and nil if none is needed.
func (c *credential) take(info cryptoki.Token) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.rejected != nil:
		return nil, rejection(c.rejected)
	case len(c.pin) == 0 && !info.LoginRequired:
		return nil, nil
	case len(c.pin) == 0:
		return nil, c.rejectLocked(errNoPIN)
	case info.PINLocked:
		return nil, c.rejectLocked(errLocked)
	case info.PINFinalTry && !c.lastTry:
		return nil, c.rejectLocked(errFinalTry)
	}
	c.lastTry = false
	return slices.Clone(c.pin), nil
}

func (c *credential) rejectLocked(why error) error {
	c.rejected = why
	return rejection(why)
}

func (c *credential) wipe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.pin)
}

func rejection(why error) error { return fmt.Errorf("%w: %w", hsm.ErrPINRejected, why) }
