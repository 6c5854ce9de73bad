// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// errPanic is all that a caller learns of a panic.
var errPanic = errors.New("internal error; the server log has details")

// latest is the time for what begins a period and may not read storage: that of the clock or, where that is known to be
// behind, the latest that it has shown.
func (e *Engine) latest() time.Time {
	now := e.now()
	if guard := e.clock.guard.Load(); guard != nil {
		now, _ = guard.Date(now)
	}
	return now
}

// Guard keeps a panic of do inside: in a plugin it would end the process, and with it every mount that shares it. The
// panic's value is not logged, it may hold what a caller sent; the stack holds code positions only.
func (e *Engine) Guard(where string, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("panic", "where", where, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return do()
}
