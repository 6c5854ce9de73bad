// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"bytes"
	"context"
	"sync"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Token is a token that is kept reachable: package token's. It is safe for concurrent use.
//
// Run calls f with a session that is logged in, and again where the token had to be recovered and the error says that the
// call did not happen. The epoch changes whenever handles of objects may have. A data error of the token, and an ambiguous
// one (CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED) once the token was seen to work, is returned as it is. Where ctx ends first,
// Run returns and f may go on: what f reads and writes is f's own.
type Token interface {
	Run(ctx context.Context, f func(s cryptoki.Session, epoch uint64) error) error
	// RunOnce is Run for what must not be done twice.
	RunOnce(ctx context.Context, f func(s cryptoki.Session, epoch uint64) error) error
	// Mechanisms returns what the token lists.
	Mechanisms(ctx context.Context) ([]cryptoki.MechanismType, error)
	// MechanismInfo returns what the token says of a mechanism. The error matches [cryptoki.ErrMechanismInvalid] where it has none.
	MechanismInfo(ctx context.Context, m cryptoki.MechanismType) (cryptoki.MechanismInfo, error)
}

// runner is one of the two ways of [Token].
type runner func(ctx context.Context, f func(s cryptoki.Session, epoch uint64) error) error

// run runs f on a session with a copy of secret, and returns what f did. Copy and result are wiped where the caller does not
// get them, also where f ends long after run has returned.
func (r runner) run(ctx context.Context, secret []byte, f func(s cryptoki.Session, epoch uint64, secret []byte) ([]byte, error)) ([]byte, error) {
	c := &call{in: bytes.Clone(secret)}
	err := r(ctx, func(s cryptoki.Session, epoch uint64) error {
		attempt, ok := c.begin()
		if !ok {
			return context.Canceled
		}
		out, err := f(s, epoch, c.in)
		c.end(attempt, out)
		return err
	})
	return c.finish(err)
}

// call is a call of a token, in one attempt or several. An attempt in which the token hangs outlives the call.
type call struct {
	mu       sync.Mutex
	in, out  []byte
	attempts int
	running  int
	over     bool // nobody waits any more
}

// begin counts an attempt, and reports whether somebody waits for it.
func (c *call) begin() (attempt int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return 0, false
	}
	c.attempts++
	c.running++
	return c.attempts, true
}

// end keeps the result of the last attempt.
func (c *call) end(attempt int, out []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.over && c.running == 0 {
		clear(c.in)
	}
	if c.over || attempt != c.attempts {
		clear(out)
		return
	}
	clear(c.out)
	c.out = out
}

// finish returns the result and wipes what is nobody's.
func (c *call) finish(err error) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.running == 0 {
		clear(c.in)
	}
	if err != nil {
		clear(c.out)
		return nil, err
	}
	return c.out, nil
}
