// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"sync/atomic"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/datakeys"
)

// WithoutJitter makes a client whose random numbers are all 0.5, and whose wall clock is off by so many nanoseconds.
func WithoutJitter(config Config, off *atomic.Int64) (*Client, error) {
	base := time.Now()
	return newClient(config, hooks{
		random: func() float64 { return 0.5 },
		now: func() datakeys.Moment {
			now := time.Now()
			return datakeys.Moment{Mono: int64(now.Sub(base)) + 1, Wall: now.UnixNano() + off.Load()}
		},
	})
}
