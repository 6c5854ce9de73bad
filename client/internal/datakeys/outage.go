// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package datakeys

import (
	"errors"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

const (
	firstPause   = 100 * time.Millisecond // doubles
	longestPause = 10 * time.Second
)

// outage says when Vault may be asked again, for a key and a kind of request.
type outage struct {
	mu       sync.Mutex
	failures int
	next     time.Time
	last     error
}

// pause is how long no request is to be made, and the error of the last one.
func (o *outage) pause() (time.Duration, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failures == 0 {
		return 0, nil
	}
	return time.Until(o.next), o.last
}

// heard takes note of how a request ended: an answer ends the outage, also a refusal.
func (o *outage) heard(err error, random float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var state *refusal.KeyStateError
	if err == nil || errors.Is(err, refusal.ErrAccessDenied) || errors.As(err, &state) {
		o.failures, o.last = 0, nil
		return
	}
	pause := min(firstPause<<min(o.failures, 10), longestPause)
	o.next = time.Now().Add(max(time.Duration(random*float64(pause)), engine.RetryAfter(err)))
	o.failures++
	o.last = err
}
