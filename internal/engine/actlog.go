// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/hashicorp/go-hclog"
)

// actLog is the server log of what one caller does. A line at INFO, WARN or ERROR says beside its own fields which request it is of,
// who asked, which approval was used, and how long it took until then.
type actLog struct {
	hclog.Logger
	caller Caller
	now    func() time.Time
}

// LogOf returns the server log of what a caller does.
func (e *Engine) LogOf(c Caller) hclog.Logger { return actLog{e.Log, c, e.Now} }

// Info is hclog.Logger's.
func (l actLog) Info(msg string, args ...any) { l.Logger.Info(msg, l.with(args)...) }

// Warn is hclog.Logger's.
func (l actLog) Warn(msg string, args ...any) { l.Logger.Warn(msg, l.with(args)...) }

// Error is hclog.Logger's.
func (l actLog) Error(msg string, args ...any) { l.Logger.Error(msg, l.with(args)...) }

// with adds what every line of an act has. What is not known is left out: nobody asked for what the clock does.
func (l actLog) with(args []any) []any {
	all := append([]any{}, args...)
	add := func(name, text string) {
		if text != "" {
			all = append(all, name, text)
		}
	}
	add("request_id", l.caller.RequestID)
	add("entity_id", l.caller.Entity)
	if l.caller.Approval != nil {
		add("approval", *l.caller.Approval)
	}
	if !l.caller.Began.IsZero() {
		all = append(all, "took_ms", l.now().Sub(l.caller.Began).Milliseconds())
	}
	return all
}

// Since returns the same acts of the clock, which began with them at the time.
func (a Acts) Since(began time.Time) Acts {
	s := *a.Session
	s.store.Caller.Began = began
	s.Log = s.LogOf(s.store.Caller)
	a.Session = &s
	return a
}
