// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"fmt"
	"time"
)

// hangLimit is how long the token is out of use because of calls that hang, before the process ends: they cannot be stopped,
// and the library is not initialised anew beside them.
const hangLimit = 60 * time.Second

// exit ends the process where the token of a device stays out of use. The device's lock guards its fields.
type exit struct {
	d          *device
	recovering int         // calls of a recovery that hang: nobody else recovers the token meanwhile
	stop       func() bool // not nil: the process ends soon, as things are
	turn       int         // counts the times that it was to end
}

// hangRecovering counts a call of a recovery that hangs.
func (e *exit) hangRecovering(n int) {
	e.d.note(func() { e.recovering += n })
	e.d.hang(n)
}

// watch begins the time after which the process ends, or stops it where a call has come back.
func (e *exit) watch() {
	d := e.d
	if d.config.Exit == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch stuck := e.isDueLocked(); {
	case stuck && e.stop == nil:
		e.turn++
		turn := e.turn
		e.stop = d.clock.AfterFunc(hangLimit, func() { e.end(turn) })
	case !stuck && e.stop != nil:
		e.stop()
		e.stop = nil
		e.turn++
	}
}

func (e *exit) isDueLocked() bool {
	return !e.d.closed && (e.d.pool.isStuck() || e.recovering > 0)
}

// end ends the process, unless a call has come back since.
func (e *exit) end(turn int) {
	d := e.d
	d.mu.Lock()
	due := e.turn == turn && e.isDueLocked()
	stuck := d.counters.Stuck
	d.mu.Unlock()
	if due {
		d.config.Exit(fmt.Errorf("token with %s: %w: %d of them have not returned for %s, and nothing else can be done with it", d.config.selection(), errHung, stuck, hangLimit))
	}
}
