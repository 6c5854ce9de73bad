// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"time"
)

// Clock is the time that deadlines and pauses go by.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f in a goroutine of its own after d, unless stop is called first, as [time.AfterFunc] does.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// after returns a channel that is closed after d.
func after(c Clock, d time.Duration) (done <-chan struct{}, stop func() bool) {
	ch := make(chan struct{})
	return ch, c.AfterFunc(d, func() { close(ch) })
}

// await waits for done, no longer than limit. The error is late after that, or the context's.
func await(ctx context.Context, c Clock, limit time.Duration, done <-chan struct{}, late error) error {
	timeout, stop := after(c, limit)
	defer stop()
	select {
	case <-done:
		return nil
	case <-timeout:
		return late
	case <-ctx.Done():
		return ctx.Err()
	}
}
