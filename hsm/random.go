// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// RandomSource says where the random bytes of keys, IVs and seeds come from.
type RandomSource string

// The sources. Mixed bytes are good where either source is.
const (
	RandomOS    RandomSource = "os"
	RandomHSM   RandomSource = "hsm"
	RandomMixed RandomSource = "mixed"
)

// RandomPolicy says what becomes of a request for random bytes of a token that is away.
type RandomPolicy string

// The policies: the request fails, or it gets the operating system's alone.
const (
	RandomRequire RandomPolicy = "require"
	RandomPrefer  RandomPolicy = "prefer"
)

// Random hands out readers of random bytes. It is safe for concurrent use if the operating system's reader is.
type Random struct {
	source RandomSource
	policy RandomPolicy
	os     io.Reader
	token  Token // nil with RandomOS

	fallbacks atomic.Uint64
}

// NewRandom returns a source of random bytes. The token is not asked for any before they are read.
func NewRandom(source RandomSource, policy RandomPolicy, os io.Reader, t Token) (*Random, error) {
	switch {
	case source != RandomOS && source != RandomHSM && source != RandomMixed:
		return nil, fmt.Errorf("%w: random_source %q", ErrUnsupported, source)
	case policy != RandomRequire && policy != RandomPrefer:
		return nil, fmt.Errorf("%w: policy of random_source %q", ErrUnsupported, policy)
	case source != RandomOS && t == nil:
		return nil, fmt.Errorf("%w: random_source %q without a token", ErrUnsupported, source)
	}
	return &Random{source: source, policy: policy, os: os, token: t}, nil
}

// Fallbacks counts the readers that went on without the token.
func (r *Random) Fallbacks() uint64 { return r.fallbacks.Load() }

// Reader returns the random bytes of one request, which ctx is. Purpose keeps the bytes of two readers apart even where
// both sources repeat themselves. The reader is safe for concurrent use, and is not for longer than its request. What it
// cannot deliver is an error; of a token that is away it matches [ErrUnavailable].
func (r *Random) Reader(ctx context.Context, purpose string) io.Reader {
	if r.source == RandomOS {
		return r.os
	}
	return &randomReader{random: r, ctx: ctx, purpose: purpose}
}

// randomReader reads of the token (RandomHSM), or of a key that both sources have made (RandomMixed).
type randomReader struct {
	random  *Random
	ctx     context.Context // the request's: an io.Reader is given none
	purpose string

	mu       sync.Mutex
	degraded bool // the policy let this reader go on without the token
	stream   []byte
}

const (
	seedSize = 32
	// C_GenerateRandom of Google's library takes 8 to 1024 bytes.
	minDraw = 32
	maxDraw = 1024
	// streamSize is what HKDF gives for one key at a time; it gives 8160 bytes at most (RFC 5869 section 2.3).
	streamSize = 1024
)

// Read fills p, or fails.
func (r *randomReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := 0; n < len(p); {
		if r.degraded {
			if _, err := io.ReadFull(r.random.os, p[n:]); err != nil {
				clear(p)
				return 0, err
			}
			return len(p), nil
		}
		if len(r.stream) == 0 {
			if err := r.fill(len(p) - n); err != nil {
				clear(p)
				return 0, err
			}
			continue
		}
		taken := copy(p[n:], r.stream)
		clear(r.stream[:taken])
		r.stream = r.stream[taken:]
		n += taken
	}
	return len(p), nil
}

// fill draws the next bytes. A reader that may go on without the token is degraded instead.
func (r *randomReader) fill(want int) (err error) {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if r.random.source == RandomHSM {
		r.stream, err = r.random.draw(r.ctx, min(max(want, minDraw), maxDraw))
	} else {
		r.stream, err = r.mix()
	}
	if err != nil && r.random.policy == RandomPrefer && r.ctx.Err() == nil {
		r.degraded = true
		r.random.fallbacks.Add(1)
		return nil
	}
	return err
}

// mix makes a new key of 32 bytes of each source, and of that HKDF-SHA256 makes the next bytes (RFC 5869).
func (r *randomReader) mix() ([]byte, error) {
	seed := make([]byte, seedSize, 2*seedSize)
	defer func() { clear(seed[:cap(seed)]) }()
	if _, err := io.ReadFull(r.random.os, seed); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	drawn, err := r.random.draw(r.ctx, seedSize)
	if err != nil {
		return nil, err
	}
	defer clear(drawn)
	return hkdf.Key(sha256.New, append(seed, drawn...), nil, "keylife/random/v1 "+r.purpose, streamSize)
}

// draw returns n bytes of the token (C_GenerateRandom). Bytes that are all alike are a generator that is broken.
func (r *Random) draw(ctx context.Context, n int) ([]byte, error) {
	drawn, err := runner(r.token.Run).run(ctx, nil, func(s cryptoki.Session, _ uint64, _ []byte) ([]byte, error) {
		return s.Random(n)
	})
	if err != nil {
		return nil, fmt.Errorf("draw random bytes of the token: %w", err)
	}
	if len(drawn) != n || bytes.Count(drawn, drawn[:1]) == n {
		return nil, fmt.Errorf("draw random bytes of the token: %w: its generator is broken", ErrUnavailable)
	}
	return drawn, nil
}
