// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import "time"

// State tells how a token is.
type State string

// The states of a token.
const (
	Unknown     State = "unknown"      // nothing has asked for it yet
	Healthy     State = "healthy"      // it works
	Degraded    State = "degraded"     // it works with errors, is being recovered, or calls hang
	Unavailable State = "unavailable"  // the last recovery failed, or all sessions are with calls that hang
	PINRejected State = "pin_rejected" // no login is tried before a new configuration
	KEKMissing  State = "kek_missing"  // the token works, and the probe did not find its key
)

// Health is what is known of a token without asking it.
type Health struct {
	State     State
	Since     time.Time
	LastError string    // the last that the token or the library caused; it stays when that is over
	Next      time.Time // no recovery is tried before; zero: at once
	Counters
}

// Counters count what happened to the connection with a token, which the mounts of a process share.
type Counters struct {
	Connections int // epochs that began
	Logins      int // C_Login calls
	Relogins    int // connections after the first
	Reinits     int // C_Finalize with C_Initialize
	Timeouts    int // calls that outlived their deadline
	Stuck       int // of those that have not returned
	Sessions    int // that are open
}

// Health tells how the token is. It calls no library.
func (t *Token) Health() Health {
	t.mu.Lock()
	d, missing := t.attached, t.missing
	t.mu.Unlock()
	if d == nil {
		return t.search.health()
	}
	h := d.health()
	if h.State == Healthy || h.State == Degraded {
		switch {
		case d.credential.refusal(t) != nil:
			h.State = PINRejected
		case !missing.since.IsZero():
			h.State, h.Since, h.Next, h.LastError = KEKMissing, missing.since, missing.next, missing.last.Error()
		}
	}
	return h
}

func (d *device) health() Health {
	failing, next := d.recovery.pause()
	d.mu.Lock()
	defer d.mu.Unlock()
	h := Health{State: d.state, Since: d.since, LastError: d.lastErr, Counters: d.counters}
	if failing {
		h.Next = next
	}
	return h
}

// health is that of a token which was not found yet.
func (f *flight) health() Health {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != nil && f.running.task.isOverdue() {
		return Health{State: Unavailable, Since: f.since, LastError: errDeadline.Error()}
	}
	if f.last == nil {
		return Health{State: Unknown, Since: f.since}
	}
	return Health{State: Unavailable, Since: f.since, LastError: f.last.Error(), Next: f.next}
}

// note changes what is known of the device, and what state that means.
func (d *device) note(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	d.noteLocked()
}

func (d *device) noteLocked() {
	if s := d.assess(); s != d.state {
		d.state, d.since = s, d.clock.Now()
	}
}

func (d *device) assess() State {
	switch {
	case d.credential.isRejected():
		return PINRejected
	case d.failing, d.pool.isStuck():
		return Unavailable
	case d.epoch == 0:
		return Unknown
	case !d.connected, d.troubled, d.rung > 0, d.counters.Stuck > 0:
		return Degraded
	}
	return Healthy
}
