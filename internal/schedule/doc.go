// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package schedule is about when something recurs: lengths of time and jitter as people write them, cron expressions in a
// time zone, recurrences and windows.
//
// It knows no key, no policy and no field: an error of a Parse function is the rule that the text breaks, and its caller says
// of which field. It does no I/O, reads no clock and draws no random numbers; of the standard library's clock it uses
// arithmetic only, and of time zones the copy of the IANA database that is embedded here.
//
// Invariants:
//   - a span is never below zero and never above [MaxSpan], so that date arithmetic cannot overflow;
//   - every time of a cron schedule comes exactly once, also where a clock is put forward or back;
//   - values are immutable and shared between requests.
package schedule

import "time"

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
