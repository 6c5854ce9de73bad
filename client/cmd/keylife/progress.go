// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"io"
	"time"
)

// How often progress is shown: on a terminal a line that is written over, else a new line.
const (
	onTerminal = 200 * time.Millisecond
	inLog      = 10 * time.Second
)

// progress shows how far a run is.
type progress struct {
	w        io.Writer
	now      func() time.Time
	terminal bool
	every    time.Duration
	last     time.Time
	shown    bool // a line stands on the terminal
}

func newProgress(w io.Writer, now func() time.Time) *progress {
	p := &progress{w: w, now: now, every: inLog, last: now()}
	if isTerminal(w) {
		p.terminal, p.every = true, onTerminal
	}
	return p
}

// show shows the text, if the time has come.
func (p *progress) show(text string) {
	now := p.now()
	if now.Sub(p.last) < p.every {
		return
	}
	p.last = now
	if p.terminal {
		tell(p.w, "\r\x1b[K%s", text)
		p.shown = true
		return
	}
	tell(p.w, "%s\n", text)
}

// say writes a line that stays.
func (p *progress) say(format string, args ...any) {
	if p.shown {
		tell(p.w, "\r\x1b[K")
		p.shown = false
	}
	tell(p.w, format+"\n", args...)
}

func (r *rewrapRun) counts() string {
	done := "rewrapped"
	if r.dryRun {
		done = "to rewrap"
	}
	return fmt.Sprintf("%d %s, %d under the newest version already, %d passed over, %d failed", r.rewrapped, done, r.already, r.others, r.failed)
}

// summary ends what was shown.
func (r *rewrapRun) summary(err error) {
	if err != nil {
		r.progress.say("broken off: %s; run it again to go on", r.counts())
		return
	}
	if r.newest != 0 {
		r.progress.say("%s; newest version of %s: %d", r.counts(), r.key, r.newest)
		return
	}
	r.progress.say("%s", r.counts())
}
