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

// hangRecovering counts a call of a recovery that hangs. Nobody else recovers the token meanwhile.
func (d *device) hangRecovering(n int) {
	d.note(func() { d.recovering += n })
	d.hang(n)
}

// watch begins the time after which the process ends, or stops it where a call has come back.
func (d *device) watch() {
	if d.config.Exit == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch stuck := d.isOutOfUseLocked(); {
	case stuck && d.stopExit == nil:
		d.exits++
		this := d.exits
		d.stopExit = d.clock.AfterFunc(hangLimit, func() { d.exit(this) })
	case !stuck && d.stopExit != nil:
		d.stopExit()
		d.stopExit = nil
		d.exits++
	}
}

func (d *device) isOutOfUseLocked() bool {
	return !d.closed && (d.pool.isStuck() || d.recovering > 0)
}

// exit ends the process, unless a call has come back since.
func (d *device) exit(this int) {
	d.mu.Lock()
	due := d.exits == this && d.isOutOfUseLocked()
	stuck := d.counters.Stuck
	d.mu.Unlock()
	if due {
		d.config.Exit(fmt.Errorf("token %s: %w: %d of them have not returned for %s, and nothing else can be done with it", d.config.selection(), errHung, stuck, hangLimit))
	}
}
